//! Looks into a request's body before anything of it goes up: what is read is held, byte for byte, and is the
//! first that goes up afterwards.

use std::mem::size_of;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::watch::{FAR, Watch};
use super::{PARTS, Upload};
use crate::error::{Error, Kind};
use crate::proto::field::{Scan, Step};
use crate::relay::replay::BodyKept;
use crate::transport::come_again;

/// A look into one body. Dropped, it takes with it what it holds: the request is over.
pub struct Peek {
    /// `None` once the field was found.
    scan: Option<Scan>,
    /// Bytes that may be held, handles included: a client that sends single bytes must not make us hold many
    /// times the bound.
    room: usize,
    held: usize,
    /// A body in whose first bytes there is none goes up all the same.
    may_lack: bool,
    frames: Vec<Bytes>,
}

impl Peek {
    /// A look through `most` bytes. `may_lack`: a body without a field among them goes up all the same, unless one comes
    /// later.
    pub fn new(scan: Scan, most: usize, may_lack: bool) -> Self {
        Self { scan: Some(scan), room: most, held: 0, may_lack, frames: Vec::new() }
    }
}

impl Upload {
    /// Reads the body until its field is found; `None` where it, or what may be held of it, ends without one. Waits for
    /// the client as [`Upload::poll`] does. To be called before anything was read, and until it is ready. What follows
    /// is looked through as it is read, and another field fails whoever reads it: [`Upload::poll`], [`Upload::gather`].
    ///
    /// # Errors
    /// [`Kind::ModelUnreadable`]: the body has no one reading, or not within the bound; [`Kind::MemoryShort`]; the
    /// client failed, as of [`Upload::poll`].
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        peek: &mut Peek,
    ) -> Poll<Result<Option<Box<str>>, Error>> {
        for _ in 0..PARTS {
            if self.reader.is_ended() {
                // Nothing at all is no body, whatever was announced.
                if let Some(scan) = &peek.scan
                    && !peek.frames.is_empty()
                {
                    scan.end().map_err(Kind::ModelUnreadable)?;
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
            let far = looked.len() < data.len() || room < data.len() + size_of::<Bytes>();
            let Some(mut scan) = peek.scan.take() else { return Poll::Ready(Ok(None)) };
            let (used, step) = scan.feed(looked).map_err(Kind::ModelUnreadable)?;
            let is_over = step == Step::Ended;
            let field = match step {
                Step::More if !far => {
                    peek.room = room - data.len() - size_of::<Bytes>();
                    peek.scan = Some(scan);
                    continue;
                }
                Step::More if !peek.may_lack => {
                    return Poll::Ready(Err(Kind::ModelUnreadable(FAR).into()));
                }
                // Behind its end too there could be another body, which some servers read.
                Step::More | Step::Ended => None,
                Step::Found(field) => Some(field),
            };
            let mut watch = Watch::new(scan, is_over);
            watch.see(&data[used..])?;
            self.reader.watched(watch);
            self.put_back(peek);
            return Poll::Ready(Ok(field));
        }
        come_again(cx);
        Poll::Pending
    }

    fn put_back(&mut self, peek: &mut Peek) {
        self.again = std::mem::take(&mut peek.frames).into_iter();
    }
}
