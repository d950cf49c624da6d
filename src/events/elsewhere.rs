//! What is needed of a place where several processes share their names.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::draft::Draft;
use super::name::Name;
use super::topic::Topic;
use crate::config::Events;
use crate::error::Error;

/// What comes later. It is polled by the worker whose request waits for it, and may be dropped at any moment.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A name with its route: on another route the same name is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The route's path.
    pub path: Box<str>,
    /// On that route.
    pub name: Name,
}

/// Where several processes share their names. What is published there comes back to each of them, also to the one that
/// published it, in one order: by [`Topic::mirror`], and by [`Topic::restart`] where a name begins anew.
pub trait Elsewhere: Send + Sync + fmt::Debug {
    /// Publishes all of these or none, with none of another's between them; the id of the last. Once it is ready they are
    /// there, whatever becomes of this process. Dropped early, they may be there all the same.
    fn publish(&self, key: Key, drafts: Vec<Draft>, bounds: &Events) -> Later<Box<str>>;

    /// Ready once the topic has all that was published before this was called, as far as it is kept; what is published
    /// later comes to it for as long as somebody holds the topic. To be called before each reader begins: for a topic
    /// that is followed already it is one look at where the name stands.
    fn follow(&self, key: Key, topic: &Arc<Topic>, bounds: &Events) -> Later<()>;
}

/// Who subscribes at other processes, for operators.
pub trait Others: Send + Sync {
    /// Their subscribers, as JSON: an object for each process. `None` where nothing is shared.
    fn connected(&self) -> Later<Option<String>>;

    /// The process that has the subscriber whose request has this id; `None` where none is known to have it.
    fn find(&self, request: &str) -> Later<Option<String>>;

    /// Sends events to a subscriber of that process alone. Ready once they are on their way: what the subscriber has not
    /// read before may leave no room for them.
    fn send(&self, process: String, request: &str, drafts: Vec<Draft>) -> Later<()>;
}
