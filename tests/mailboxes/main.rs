//! What does each kind of mailbox do with each way of sending, and what does it never do?
//!
//! The table in the documentation of [`Mailbox`](omnitron::Mailbox) is tested cell by cell in `table`; what it says
//! about those who wait, about reserved room and about the figures, in the others.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod adapted;
mod figures;
mod inside;
mod reserved;
mod senders;
mod table;
mod world;
