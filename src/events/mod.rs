//! Named events: published by POST, subscribed to by GET, without an upstream.
//!
//! `name`, `id` and `cursor` are the words of requests; `publish` reads what is published into `draft`s. A `topic` has one
//! name's events and their readers; `topics` are all names of one route, and `routes` all of a configuration. A
//! `subscription` is what one subscriber is given, and its `seat` what others see of it. `elsewhere` is what is needed of
//! whoever shares names over processes. Nothing here knows a request or a socket: `proxy::events` answers with it.
//!
//! Shared by all workers. A lock is held for as long as one event is added or handed out, never while anybody is
//! woken.

mod cursor;
mod draft;
mod elsewhere;
mod id;
mod name;
mod publish;
mod routes;
mod seat;
mod subscription;
mod topic;
mod topics;

pub use cursor::{Cursor, LAST_EVENT_ID, NoCursor};
pub use draft::{Draft, Fields, Unfit};
pub use elsewhere::{Elsewhere, Key, Later, Others};
pub use id::{Epoch, OwnId, Stamp};
pub use name::Name;
pub use publish::Form;
pub use routes::EventRoutes;
pub use seat::{Card, NotSent, Over, Seat};
pub use subscription::Subscription;
pub use topic::{Keep, Lagged, Reader, Start, Taken, Topic};
pub use topics::{Counts, Published, Topics};
