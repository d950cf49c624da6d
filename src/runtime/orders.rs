//! What a running proxy is told to do.

use tokio::sync::watch;

/// What a running proxy is told, each order later than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Another process accepts; be warm until it is your turn.
    Hold,
    Serve,
    /// Balancers are to look elsewhere: go on accepting, and let each answer end its connection.
    LameDuck,
    /// Listeners close, connections finish, until the drain deadline.
    Drain,
    /// Now.
    Stop,
}

/// Returns the order once it is this one or a later one. An owner that is gone without a word means now.
pub(super) async fn told(mut orders: watch::Receiver<Order>, least: Order) -> Order {
    orders.wait_for(|order| *order >= least).await.map_or(Order::Stop, |order| *order)
}
