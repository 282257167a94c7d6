"""All that knows Twilio: webhooks, their signature, and why one does not verify."""
