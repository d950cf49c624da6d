//! HTTP/1.1 by hand: every byte of the answer is the script's.

mod answer;
mod reader;
mod sink;

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

pub(in crate::upstream) use answer::Answer;
use reader::{BodyRead, Reader, RequestHead};

use super::Shared;
use super::exchange::{Pump, exchange};
use crate::upstream::clock::now_ns;
use crate::upstream::log::ConnectionEnd;
use crate::upstream::log::recorder::Entry;
use crate::upstream::script::intake::Intake;
use crate::upstream::script::seen::Seen;
use crate::upstream::script::sink::Gone;
use crate::upstream::wire::{Cut, Wire};

/// Serves one connection until it ends. Pipelined requests are answered in order.
pub(in crate::upstream) async fn drive(
    shared: Rc<Shared>,
    mut wire: Wire,
    number: u64,
) -> ConnectionEnd {
    let mut reader = Reader::new(wire.clone());
    let busy = Rc::new(Cell::new(false));
    let _registered = shared.live.register(number, wire.clone(), {
        let (wire, busy) = (wire.clone(), busy.clone());
        move || {
            if !busy.get() {
                wire.cut(Cut::Fin);
            }
        }
    });
    let mut nth_on_connection = 0;
    loop {
        let head = match reader.head().await {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(Gone::Malformed(why)) => {
                // The peer learns that it was not understood; that it may not read it changes nothing.
                let _ = wire.write_all(REFUSAL).await;
                let _ = wire.flush().await;
                wire.close();
                return ConnectionEnd::Failed(why);
            }
            Err(_) => return ended(&wire, "the connection closed within a request head"),
        };
        busy.set(true);
        let again = serve(&shared, &wire, &mut reader, &head, number, nth_on_connection).await;
        busy.set(false);
        nth_on_connection += 1;
        if !again {
            break;
        }
    }
    if wire.is_cut() {
        return ConnectionEnd::Scripted;
    }
    wire.close();
    ConnectionEnd::Closed
}

const REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

fn ended(wire: &Wire, why: &str) -> ConnectionEnd {
    if wire.is_cut() { ConnectionEnd::Scripted } else { ConnectionEnd::Failed(why.to_owned()) }
}

/// Answers one request; true if the connection can carry another.
async fn serve(
    shared: &Rc<Shared>,
    wire: &Wire,
    reader: &mut Reader,
    head: &RequestHead,
    number: u64,
    nth_on_connection: u64,
) -> bool {
    let seen = Seen {
        nth: shared.next_request(),
        connection: number,
        nth_on_connection,
        stream: 0,
        method: head.method.clone(),
        path: head.path.clone(),
        authority: head.authority.clone(),
        headers: head.headers.clone(),
        body: Bytes::new(),
        body_len: 0,
        body_sha256: None,
        head_ns: now_ns(),
    };
    let mut answer = Answer::new(wire.clone(), head);
    if shared.goaway_due(nth_on_connection).is_some() {
        answer.close_after();
    }
    let mut upload = Upload { reader, ended: false };
    exchange(shared, wire, seen, &mut upload, &mut answer).await;
    // An answer that began early may be over before anybody asked whether a body comes at all.
    let read = upload.ended || reader.is_over();
    read && answer.reusable() && head.keep_alive
}

/// The request's body, and after it the watch for the peer's leaving.
struct Upload<'a> {
    reader: &'a mut Reader,
    ended: bool,
}

impl Pump for Upload<'_> {
    async fn read_body(&mut self, intake: &Intake, entry: &Entry) -> Result<(), Gone> {
        while !self.ended {
            match self.reader.body().await? {
                BodyRead::Piece(piece) => intake.push(piece, entry).await,
                BodyRead::End(trailers) => {
                    self.ended = true;
                    intake.finish(trailers, entry);
                }
            }
        }
        Ok(())
    }

    async fn gone(&mut self) -> Gone {
        self.reader.gone().await
    }
}
