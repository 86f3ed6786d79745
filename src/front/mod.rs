//! The mail doors: SMTP today, LMTP and IMAP to come.
