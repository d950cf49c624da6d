//! The body of a publish: events as they stand in a stream, or one as a JSON object.

mod form;
mod json;
mod sse;

pub use form::Form;
use json::of_json;
use sse::of_sse;

use super::draft::Unfit;

/// Events of one body at most: fewer than a subscriber that keeps up may be behind.
const MOST: usize = 512;

const EMPTY: Unfit =
    "The body holds no event; write data: and a line of text, or a JSON object with data.";
const TEXT: Unfit = "The body is not valid UTF-8.";
