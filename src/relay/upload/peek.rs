//! Looks into a request's body before anything of it goes up: what is read is held, byte for byte, and is the
//! first that goes up afterwards.

use std::mem::size_of;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{PARTS, Upload};
use crate::error::{Error, Kind};
use crate::proto::field::{Fault, Scan, Step};
use crate::relay::replay::BodyKept;
use crate::transport::come_again;

/// The field was not among the bytes that may be held.
const FAR: Fault = "The request's model does not stand within the first bytes of its body that this proxy \
    looks through (model_bytes of the route); put it before long fields and files.";

/// A look into one body. Dropped, it takes with it what it holds: the request is over.
pub struct Peek {
    scan: Scan,
    /// Bytes that may be held, handles included: a client that sends single bytes must not make us hold many
    /// times the bound.
    room: usize,
    held: usize,
    frames: Vec<Bytes>,
}

impl Peek {
    /// A look through `most` bytes.
    pub fn new(scan: Scan, most: usize) -> Self {
        Self { scan, room: most, held: 0, frames: Vec::new() }
    }
}

impl Upload {
    /// Reads the body until its field is found; `None` where it ends without one. Waits for the client as
    /// [`Upload::poll`] does. To be called before anything was read, and until it is ready.
    ///
    /// # Errors
    /// [`Kind::ModelUnreadable`]: the body has no reading, or not within the bound; [`Kind::MemoryShort`]; the
    /// client failed, as of [`Upload::poll`].
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        peek: &mut Peek,
    ) -> Poll<Result<Option<Box<str>>, Error>> {
        for _ in 0..PARTS {
            if self.reader.is_ended() {
                // Nothing at all is no body, whatever was announced.
                if !peek.frames.is_empty() {
                    peek.scan.end().map_err(Kind::ModelUnreadable)?;
                }
                self.put_back(peek);
                return Poll::Ready(Ok(None));
            }
            let data = ready!(self.reader.poll_next(cx, &mut self.kept))?;
            if data.is_empty() {
                continue;
            }
            if !self.charge.has_room_for(data.len()) {
                return Poll::Ready(Err(Kind::MemoryShort.into()));
            }
            self.kept.push(&data);
            peek.held += data.len() + size_of::<Bytes>();
            peek.frames.push(data.clone());
            if self.kept.kept() == BodyKept::Spoiled {
                self.kept.hold(peek.held);
            }
            self.charge_with(0);
            let room = std::mem::replace(&mut peek.room, 0);
            let looked = &data[..data.len().min(room)];
            let step = peek.scan.feed(looked).map_err(Kind::ModelUnreadable)?.1;
            if step != Step::More {
                self.put_back(peek);
                let Step::Found(field) = step else { return Poll::Ready(Ok(None)) };
                return Poll::Ready(Ok(Some(field)));
            }
            if looked.len() < data.len() || room < data.len() + size_of::<Bytes>() {
                return Poll::Ready(Err(Kind::ModelUnreadable(FAR).into()));
            }
            peek.room = room - data.len() - size_of::<Bytes>();
        }
        come_again(cx);
        Poll::Pending
    }

    fn put_back(&mut self, peek: &mut Peek) {
        self.again = std::mem::take(&mut peek.frames).into_iter();
    }
}
