//! Where clients come in, which web pages may, who may, how much, and what is told of whom.

pub(super) mod door;
mod named;
mod privacy;
mod shares;
mod web;

use super::{World, least};
