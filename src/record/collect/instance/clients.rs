//! What there is to show of clients: asked for when a page is made, of whoever counts it.

use std::sync::{Arc, Mutex, PoisonError};

/// Everybody, at one moment.
#[derive(Debug, Clone, Default)]
pub struct ClientsShown {
    /// In the configuration's order.
    pub clients: Vec<ClientShown>,
    /// Limits of client groups.
    pub groups: Vec<LimitShown>,
}

/// One client.
#[derive(Debug, Clone)]
pub struct ClientShown {
    /// The configured name.
    pub name: String,
    /// Requests that were answered, with their tokens, by the model's label; what never was is not there.
    pub models: Vec<ModelShown>,
    /// Its own limits.
    pub limits: Vec<LimitShown>,
    /// Names of the limits of its groups that hold for it too.
    pub shares: Vec<String>,
}

/// One client's requests of one model's label.
#[derive(Debug, Clone, Default)]
pub struct ModelShown {
    /// The label.
    pub model: String,
    /// Answered requests.
    pub requests: u64,
    /// Tokens of requests.
    pub input: u64,
    /// Of these, read from a cache.
    pub cached: u64,
    /// Tokens of answers.
    pub output: u64,
    /// Nanodollars.
    pub cost: u64,
    /// Requests whose tokens are an estimate.
    pub estimated: u64,
}

/// One limit. Money is in nanodollars.
#[derive(Debug, Clone)]
pub struct LimitShown {
    /// The client, or the client group.
    pub owner: String,
    /// `rpm`, `tpm`, `concurrent`, `budget_tokens` or `budget_usd`.
    pub limit: &'static str,
    /// How much there is at most.
    pub most: u64,
    /// What is left.
    pub left: i64,
    /// Requests that it refused.
    pub refused: u64,
}

/// Who counts clients, where anybody does.
type Source = Arc<dyn Fn() -> ClientsShown + Send + Sync>;

/// The process's.
#[derive(Default)]
pub(in crate::record) struct Clients(Mutex<Option<Source>>);

impl Clients {
    pub(in crate::record) fn set(&self, source: Option<Source>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// `None` where clients are not known.
    pub(in crate::record) fn shown(&self) -> Option<ClientsShown> {
        let source = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        source.map(|source| source())
    }
}
