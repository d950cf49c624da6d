//! What this process has of others, and others of it. No connection is known here.

mod cursor;
mod meta;
mod mirrors;
mod names;
mod own;

pub(super) use cursor::Cursor;
pub(super) use meta::{Meta, read, word, written};
pub(super) use mirrors::{Mirror, Mirrors};
pub(super) use names::{Names, epoch};
pub(super) use own::OwnStreams;
