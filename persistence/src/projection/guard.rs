//! What if a read model panics?
//!
//! It is the user's, so it may do that anywhere: when it is made, before it has given a future, in that future, when it is asked, and when it is dropped.
//!
//! # Invariants
//!
//! * No panic of it comes further than this file: the part learns of it as of any failure, and spends no restart on it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use omnitron_runtime::Failure;

use super::model::{Batch, CommitError, ReadModel};
use crate::error::panic_text;

/// What is said with a panic.
pub(super) type Panic = String;

/// A read model that is open.
pub(super) struct Guarded<R> {
    /// `None` only while it is dropped.
    model: Option<R>,
}

impl<R: ReadModel> Guarded<R> {
    pub(super) fn make(factory: impl FnOnce() -> Result<R, Failure>) -> Result<Self, Failure> {
        let made = catch_unwind(AssertUnwindSafe(factory)).unwrap_or_else(|panic| Err(failure(&*panic)));
        Ok(Self { model: Some(made?) })
    }

    pub(super) async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let Some(model) = &mut self.model else { return Err(Failure::msg("it was dropped")) };
        // The call is inside, because it may panic before there is a future.
        let offsets = AssertUnwindSafe(async { model.offsets().await }).catch_unwind().await;
        offsets.unwrap_or_else(|panic| Err(failure(&*panic)))
    }

    pub(super) async fn commit(
        &mut self,
        batch: &Batch<'_, R::Event>,
    ) -> Result<Result<(), CommitError>, Panic> {
        let Some(model) = &mut self.model else { return Err("it was dropped".to_owned()) };
        let committed = AssertUnwindSafe(async { model.commit(batch).await }).catch_unwind().await;
        committed.map_err(|panic| panic_text(&*panic))
    }

    /// After a panic it is nothing to go on with.
    pub(super) fn ask(&mut self, question: impl FnOnce(&mut R)) -> Result<(), Panic> {
        let Some(model) = &mut self.model else { return Err("it was dropped".to_owned()) };
        let answered = catch_unwind(AssertUnwindSafe(|| question(model)));
        answered.map_err(|panic| panic_text(&*panic))
    }
}

impl<R> Drop for Guarded<R> {
    fn drop(&mut self) {
        let_go(self.model.take());
    }
}

/// Drops something of a user's.
pub(super) fn let_go<T>(it: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(it))) {
        tracing::warn!(reason = %panic_text(&*panic), "a read model, or a question to it, panicked when it was dropped");
    }
}

fn failure(panic: &(dyn Any + Send)) -> Failure {
    Failure::msg(panic_text(panic))
}
