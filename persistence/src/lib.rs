//! Actors that survive a crash: events, the journal they lie in, and how state comes back from it.
