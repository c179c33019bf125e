//! How does a part open its read model, and where does it begin to read?
//!
//! # Invariants
//!
//! * What a part stores says at least as much as all offsets that were stored when it opened: those of a slice that was another part's may lie in
//!   its row alone, when the number of parts has changed.

use omnitron_runtime::{Context, Failure};
use tokio::sync::mpsc;

use super::guard::Guarded;
use super::model::{self, ReadModel};
use super::part::Part;
use super::reading::{self, AHEAD, Fetched};
use crate::feed::{FeedError, Follow};
use crate::id::{Ordinal, Slice};
use crate::offset::Offset;

pub(super) type Line<R> = mpsc::Receiver<Result<Fetched<<R as ReadModel>::Event>, FeedError>>;

/// A read model that is open, and what is read for it.
pub(super) struct Open<R: ReadModel> {
    /// How many were opened before it. A restart leaves what the one before has asked for on its way.
    pub(super) number: u64,
    pub(super) model: Guarded<R>,
    /// `None` while it is waited for.
    pub(super) line: Option<Line<R>>,
    /// What is in the read model, or passed by it, of the slices of this part.
    pub(super) offset: Offset,
    /// What all parts had stored when it was opened.
    found: Offset,
    /// How many events were passed since the offset was stored.
    pub(super) unmarked: u64,
}

impl<R: ReadModel> Open<R> {
    /// What is to be stored when this part has got to `offset`.
    pub(super) fn to_store(&self, offset: &Offset) -> Offset {
        let mut all = self.found.clone();
        all.merge(offset);
        all
    }
}

/// Why there is no read model to write to.
pub(super) enum Trouble {
    Passing(String),
    Lasting(String),
}

impl From<FeedError> for Trouble {
    fn from(error: FeedError) -> Self {
        let text = model::chain(&error);
        if error.passes() { Self::Passing(text) } else { Self::Lasting(text) }
    }
}

impl<R: ReadModel> Part<R> {
    /// Opens the read model and begins to read where its offset is.
    pub(super) async fn open(&mut self, ctx: &mut Context<Self>) -> Result<Open<R>, Trouble> {
        let passing = |failure: Failure| Trouble::Passing(failure.to_string());
        let mut model = Guarded::make(|| (self.settings.factory)(&self.target)).map_err(passing)?;
        let offsets = model.offsets().await.map_err(passing)?;
        let mut found = self.journal.start().ok_or(FeedError::NotOpen)?;
        for bytes in offsets {
            let stored = Offset::from_bytes(&bytes).map_err(|error| Trouble::Lasting(error.to_string()))?;
            if !found.merge(&stored) {
                let (given, actual) = (stored.journal(), found.journal());
                return Err(FeedError::OtherJournal { given, actual }.into());
            }
        }
        let mut follow = Follow::all().after(found.clone()).slices(self.slices.iter().copied());
        if self.settings.despite_deletions {
            follow = follow.despite_deletions();
        }
        let feed = self.journal.follow_as(ctx.env(), follow, Some(&self.reader)).await?;
        let (sender, line) = mpsc::channel(AHEAD);
        let (tag, most, label) = (self.settings.tag.clone(), self.settings.batch, self.target.to_string());
        ctx.env().spawn(|| label, reading::read(feed, tag, most, sender));
        // Of the slices of other parts it knows nothing that stays true.
        let mine = |slice: &(Slice, Ordinal)| self.slices.contains(&slice.0);
        let mut offset = Offset::start(found.journal());
        found.iter().filter(mine).for_each(|(slice, ordinal)| offset.advance(slice, ordinal));
        offset.iter().for_each(|(slice, ordinal)| self.reader.passed(slice, ordinal));
        let number = self.board.opened();
        Ok(Open { number, model, line: Some(line), offset, found, unmarked: 0 })
    }
}
