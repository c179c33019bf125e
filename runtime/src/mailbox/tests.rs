//! What holds of the inbox, whatever comes in which order?
