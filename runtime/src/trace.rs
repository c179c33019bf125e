//! What is a message part of?
//!
//! A system that [traces its messages](crate::SystemBuilder::trace_messages) gives each of them a *trace context*: the
//! trace it belongs to, and the span that caused it. It rides beside the message, from the handler that sends it to the
//! handler that gets it, over tells, asks, timers, pipes and streams; each handler runs in a `tracing` span of its own
//! that names both. The form on paper is that of W3C Trace Context, so it goes on where others left off.
//!
//! Where nothing is traced nothing of this exists: the context is taken along by the way that is careful anyhow, and lies
//! beside the message only where there is one.
//!
//! # Invariants
//!
//! * The context of a thread is that of the handler it polls, and none outside of any.
//! * A trace id is never 0, and neither is the id of a span that caused something.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::baggage::{self, Baggage};
use crate::cell::Head;
use crate::env::Env;

/// The bit of the flags that says that somebody records this trace.
const SAMPLED: u8 = 1;

/// The trace that something is part of, and the span in it that caused it: what a
/// [`traceparent`](https://www.w3.org/TR/trace-context/#traceparent-header) header carries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not a traceparent: {text:?}: expected 00-TRACE-SPAN-FLAGS with 32, 16 and 2 lower-case hexadecimal digits, ids not 0"
)]
pub struct TraceparentError {
    /// The text, cut off after 80 characters.
    pub text: String,
}

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
    /// Whether the handler that runs on this thread has a [baggage].
    static CARRIES: Cell<bool> = const { Cell::new(false) };
}

/// Whether anybody in this process ever had a baggage. Until then a `tell` need not look at its thread: that look made it a third slower.
static ANYBODY: AtomicBool = AtomicBool::new(false);

/// Whether what is sent now takes a baggage along.
#[inline]
pub(crate) fn carries() -> bool {
    // The thread that has one set this before.
    ANYBODY.load(Ordering::Relaxed) && CARRIES.get()
}

/// What is sent from now on takes a baggage along, or not. Returns whether it did before.
pub(crate) fn set_carries(carries: bool) -> bool {
    if carries && !ANYBODY.load(Ordering::Relaxed) {
        ANYBODY.store(true, Ordering::Relaxed);
    }
    CARRIES.replace(carries)
}

impl TraceContext {
    /// The context of the handler that runs on this thread, or of the [`scope`](Self::scope) around the caller.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Cell::get).ok().flatten()
    }

    /// The id of the trace: equal for everything that one cause has led to. Never 0.
    pub fn trace_id(&self) -> u128 {
        self.trace
    }

    /// The id of the span that caused what this context belongs to.
    pub fn span_id(&self) -> u64 {
        self.span
    }

    /// Whether the one who began the trace records it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// As a `traceparent` header. It can be [parsed](str::parse) again.
    pub fn traceparent(&self) -> String {
        self.to_string()
    }

    /// Runs `code` as a part of this: what it sends belongs to the trace.
    pub fn scope<R>(self, code: impl FnOnce() -> R) -> R {
        let _entered = Entered::enter(Some(self));
        code()
    }

    /// Makes a future a part of this, whenever it is polled.
    pub fn wrap<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        carried(Some(self), future)
    }

    /// The context that a message takes along which is sent now: that of its sender, or the beginning of a new trace.
    pub(crate) fn for_message(env: &Env) -> Self {
        Self::current().unwrap_or_else(|| {
            let trace = (u128::from(env.random_u64()) << 64) | u128::from(env.random_u64());
            Self { trace: trace.max(1), span: env.random_u64().max(1), flags: SAMPLED }
        })
    }

    /// The same trace, in a span of its own.
    fn child(self, env: &Env) -> Self {
        Self { span: env.random_u64().max(1), ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = TraceparentError;

    /// Reads a `traceparent`. Of a later version than 00, what is known of it.
    ///
    /// # Errors
    ///
    /// [`TraceparentError`] when it is none.
    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        parse(text).ok_or_else(|| TraceparentError { text: text.chars().take(80).collect() })
    }
}

fn parse(text: &str) -> Option<TraceContext> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        (part.len() == digits && part.bytes().all(is_hex)).then_some(part)
    };
    let version = u8::from_str_radix(part(2)?, 16).ok()?;
    let trace = u128::from_str_radix(part(32)?, 16).ok()?;
    let span = u64::from_str_radix(part(16)?, 16).ok()?;
    let flags = u8::from_str_radix(part(2)?, 16).ok()?;
    let more = parts.next().is_some();
    let known = version != 0xff && (version > 0 || !more);
    (known && trace != 0 && span != 0).then_some(TraceContext { trace, span, flags })
}

/// The context of this thread is another one until this is dropped.
struct Entered(Option<TraceContext>);

impl Entered {
    fn enter(context: Option<TraceContext>) -> Self {
        Self(CURRENT.try_with(|current| current.replace(context)).ok().flatten())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread that is ending has no context any more.
        let _ = CURRENT.try_with(|current| current.set(self.0));
    }
}

/// Whether this thread carries something is as it was when this is dropped.
struct Carries(bool);

impl Drop for Carries {
    fn drop(&mut self) {
        CARRIES.set(self.0);
    }
}

/// Runs `code` as a part of what is `current`.
pub(crate) fn scope<R>(current: Option<TraceContext>, code: impl FnOnce() -> R) -> R {
    match current {
        Some(context) => context.scope(code),
        None => code(),
    }
}

/// Runs `code` as a part of nothing.
#[inline]
pub(crate) fn outside<R>(code: impl FnOnce() -> R) -> R {
    let _entered = Entered::enter(None);
    let _carries = Carries(CARRIES.replace(false));
    code()
}

/// Makes a future a part of what is `current`, and of the span that is current now.
pub(crate) async fn carried<F: Future>(current: Option<TraceContext>, future: F) -> F::Output {
    let Some(context) = current else { return future.await };
    let span = tracing::Span::current();
    let mut future = pin!(future);
    poll_fn(|cx| context.scope(|| span.in_scope(|| future.as_mut().poll(cx)))).await
}

/// What lies beside one message for its handler.
pub(crate) struct Carried {
    pub(crate) trace: Option<TraceContext>,
    pub(crate) baggage: Option<Baggage>,
}

/// The context, the span and the baggage that the handler of one message runs with.
pub(crate) struct Handling {
    context: Option<TraceContext>,
    span: tracing::Span,
    baggage: Option<Baggage>,
}

impl Handling {
    #[cold]
    pub(crate) fn new(carried: Carried, env: &Env, head: &Head, message_type: &'static str) -> Self {
        let Carried { trace, baggage } = carried;
        let Some(cause) = trace else { return Self { context: None, span: tracing::Span::none(), baggage } };
        let context = cause.child(env);
        let span = tracing::info_span!(
            "message",
            actor = %head.path,
            message_type,
            trace_id = format_args!("{:032x}", context.trace),
            span_id = format_args!("{:016x}", context.span),
            parent_id = format_args!("{:016x}", cause.span),
        );
        Self { context: Some(context), span, baggage }
    }

    /// Runs a handler as a part of this, whenever it is polled.
    pub(crate) async fn around<F: Future>(self, hook: F) -> F::Output {
        let mut hook = pin!(hook);
        let Self { context, span, baggage } = self;
        poll_fn(|cx| {
            let poll = || scope(context, || span.in_scope(|| hook.as_mut().poll(cx)));
            baggage::scope(baggage.as_ref(), poll)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_is_read_and_written_as_it_is() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!(context.traceparent(), EXAMPLE);
        assert_eq!((context.span_id(), context.is_sampled()), (0x00f0_67aa_0ba9_02b7, true));
    }

    #[test]
    fn what_is_no_traceparent_is_refused_with_the_text() {
        let bad = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for text in bad {
            assert_eq!(text.parse::<TraceContext>().unwrap_err().text, text);
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(later.parse::<TraceContext>().unwrap().traceparent(), EXAMPLE);
        assert_eq!("x".repeat(10_000).parse::<TraceContext>().unwrap_err().text.len(), 80);
    }

    #[test]
    fn a_scope_ends_where_it_ends_also_by_a_panic() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!(TraceContext::current(), None);
        assert_eq!(context.scope(TraceContext::current), Some(context));
        let panic = std::panic::catch_unwind(|| context.scope(|| panic!("on request")));
        assert!(panic.is_err());
        assert_eq!(TraceContext::current(), None);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(trace in 1..u128::MAX, span in 1..u64::MAX, flags: u8) {
            let context = TraceContext { trace, span, flags };
            prop_assert_eq!(context.traceparent().parse(), Ok(context));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            drop(text.parse::<TraceContext>());
        }
    }
}
