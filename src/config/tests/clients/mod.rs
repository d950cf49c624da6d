//! Where clients come in, and which web pages may.

pub(super) mod door;
mod web;

use super::{World, least};
