//! Which upstream of a group answers.

mod failover;
mod health;
mod hedge;
mod ill_after_head;
mod probes;
mod retries;
mod shares;
