//! A socket that waits or does not, as told.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

pub(crate) struct Socket {
    stream: TcpStream,
    waits: bool,
}

impl Socket {
    /// One that waits.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, waits: true })
    }

    /// Whether reads and writes wait from now on.
    pub(crate) fn waits(&mut self, waits: bool) -> io::Result<()> {
        if waits != self.waits {
            self.stream.set_nonblocking(!waits)?;
            self.waits = waits;
        }
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buf)
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
