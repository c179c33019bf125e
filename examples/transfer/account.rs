//! Who holds the money? An entity for each account.
//!
//! A transfer is one event at the account that pays, with a post in the same append, and one event at the account that is paid, with the record that the post
//! was received in the same append. No third party takes part.

use omnitron::prelude::*;

/// What each account holds in the beginning, in cents.
pub(crate) const OPENING: i64 = 100_000;

pub(crate) struct Account;

pub(crate) enum Command {
    Pay(Payment),
    /// Was posted by another account.
    Credit(Deposit),
    Balance(ReplyTo<i64>),
}

/// Pay so much to another account.
pub(crate) struct Payment {
    /// Those that one account pays come in rising order, and again after a crash.
    pub(crate) number: u64,
    pub(crate) to: String,
    pub(crate) cents: i64,
    /// Whether it was paid, now or before.
    pub(crate) reply: ReplyTo<bool>,
}

/// What travels.
#[derive(Event)]
#[event(name = "account.deposit")]
pub(crate) struct Deposit {
    pub(crate) number: u64,
    pub(crate) cents: i64,
}

#[derive(Event)]
pub(crate) enum AccountEvent {
    Paid { number: u64, cents: i64 },
    Credited { number: u64, cents: i64 },
}

#[derive(Event)]
#[event(name = "account.state")]
pub(crate) struct Balance {
    cents: i64,
    /// The last payment.
    last: u64,
}

impl Default for Balance {
    fn default() -> Self {
        Self { cents: OPENING, last: 0 }
    }
}

impl EventSourced for Account {
    type Command = Command;
    type Event = AccountEvent;
    type State = Balance;

    fn handle(&self, balance: &Balance, command: Command, _: &Scope<Self>) -> Effect<Self> {
        match command {
            Command::Pay(Payment { number, reply, .. }) if number <= balance.last => {
                Effect::reply(reply, true)
            }
            Command::Pay(Payment { cents, reply, .. }) if cents > balance.cents => {
                Effect::reply(reply, false)
            }
            Command::Pay(Payment { number, to, cents, reply }) => {
                Effect::persist(AccountEvent::Paid { number, cents })
                    .then_post(("account", to), Deposit { number, cents })
                    .then_reply(reply, |_| true)
            }
            Command::Credit(Deposit { number, cents }) => {
                Effect::persist(AccountEvent::Credited { number, cents })
            }
            Command::Balance(reply) => Effect::reply(reply, balance.cents),
        }
    }

    fn apply(balance: &mut Balance, event: &AccountEvent) {
        match event {
            AccountEvent::Paid { number, cents } => {
                balance.cents -= cents;
                balance.last = *number;
            }
            AccountEvent::Credited { cents, .. } => balance.cents += cents,
        }
    }
}
