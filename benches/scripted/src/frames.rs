//! HTTP/2 by hand (RFC 9113), as much of it as two scripted peers speak: what they send costs the proxy
//! the same each time, and what they read they only have to recognise.

/// What a client says first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// Of HEADERS and DATA.
pub const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Stream windows and the connection's are opened this far at once, so that what is measured is hardly
/// ever about credit.
const WINDOW: u32 = (1 << 30) - 1;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame as it was read.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// It ends its stream.
    pub fn ends(&self) -> bool {
        self.kind == RST_STREAM
            || (matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0)
    }
}

/// Appends a frame. `payload` must have at most 16 KiB, which every peer takes.
pub fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends SETTINGS and the credit that lasts for the whole run.
pub fn put_hello(out: &mut Vec<u8>) {
    let mut setting = SETTINGS_INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
    setting.extend_from_slice(&WINDOW.to_be_bytes());
    put(out, SETTINGS, 0, 0, &setting);
    put(out, WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
}

/// Appends what a frame of the connection's own must be answered with, if anything.
pub fn put_reply(out: &mut Vec<u8>, frame: &Frame) {
    if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
        let payload: &[u8] = if frame.kind == PING { &frame.payload } else { b"" };
        put(out, frame.kind, ACK, 0, payload);
    }
}

/// Gives back what was read, long before a window is used up and seldom.
#[derive(Debug, Default)]
pub struct Credit {
    read: u32,
}

impl Credit {
    /// Appends new credit if it is time, for the connection and for the stream that is read.
    pub fn put(&mut self, out: &mut Vec<u8>, frame: &Frame) {
        if frame.kind != DATA {
            return;
        }
        self.read += frame.payload.len() as u32;
        if self.read > WINDOW / 4 {
            let credit = std::mem::take(&mut self.read).to_be_bytes();
            put(out, WINDOW_UPDATE, 0, 0, &credit);
            if !frame.ends() {
                put(out, WINDOW_UPDATE, 0, frame.stream, &credit);
            }
        }
    }
}

/// Takes the first whole frame off `read`.
pub fn take(read: &mut Vec<u8>) -> Option<Frame> {
    let head: &[u8; 9] = read.first_chunk()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    let (kind, flags) = (head[3], head[4]);
    let payload = read.get(9..9 + length)?.to_vec();
    read.drain(..9 + length);
    Some(Frame { kind, flags, stream, payload })
}

/// A head that is sent again and again on one connection: spelt out and entered into the peer's table
/// the first time, referred to after that (RFC 7541, sections 6.1 and 6.2), as real peers do.
pub struct Block {
    /// Entries of the static table that stand first, such as a status.
    fixed: Vec<u8>,
    lines: Vec<(&'static str, &'static str)>,
    known: bool,
}

/// The first index of the dynamic table.
const DYNAMIC: usize = 62;

impl Block {
    pub fn new(fixed: &[u8], lines: Vec<(&'static str, &'static str)>) -> Self {
        Self { fixed: fixed.to_vec(), lines, known: false }
    }

    /// Appends HEADERS for a stream; `fresh` is a line that differs each time.
    pub fn put(&mut self, out: &mut Vec<u8>, flags: u8, stream: u32, fresh: (&str, &str)) {
        let mut block = self.fixed.clone();
        let lines = self.lines.len();
        for (at, (name, value)) in self.lines.iter().enumerate() {
            if self.known {
                block.push(0x80 | (DYNAMIC + lines - 1 - at) as u8);
            } else {
                block.push(0x40);
                put_text(&mut block, name);
                put_text(&mut block, value);
            }
        }
        self.known = true;
        block.push(0);
        put_text(&mut block, fresh.0);
        put_text(&mut block, fresh.1);
        put(out, HEADERS, flags | END_HEADERS, stream, &block);
    }
}

/// A string without Huffman coding (RFC 7541, section 5.2).
fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut left = text.len();
    if left < 0x7f {
        out.push(left as u8);
    } else {
        out.push(0x7f);
        left -= 0x7f;
        while left >= 0x80 {
            out.push((left % 0x80) as u8 | 0x80);
            left /= 0x80;
        }
        out.push(left as u8);
    }
    out.extend_from_slice(text.as_bytes());
}
