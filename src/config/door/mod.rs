//! `listen`: where clients connect, and how: in clear or by TLS, directly or through a balancer.

pub(super) mod address;
pub(super) mod networks;
pub(super) mod pair;
pub(super) mod tls;
mod validity;

use std::net::SocketAddr;

use serde_json::{Value, json};

use self::address::{ListenAddress, Place};
use self::tls::{ListenerTls, TLS};
use super::file::fault::{At, Complaint};
use super::file::yaml::Data;
use super::key::reader::{Fields, Reader};
use super::key::{Entry, Key, Row, Section, Shape};
use super::kind::scalar::Choice;
use super::kind::{Around, Kind};

const NAME: &str = "listen";

const DOC: &str = "Where clients connect: an address, or a list of addresses and sections. Port 0 \
    lets the kernel choose a free port.";

/// `listen`: an address, or a list of addresses and sections.
pub(super) struct Listen;

static LISTENER: Section = Section {
    name: NAME,
    shape: Shape::List,
    required: false,
    doc: DOC,
    entries: &[&ADDRESS, &MODE, &PROXY_PROTOCOL, &TLS],
};

static ADDRESS: Key<Place> = Key::required(
    "address",
    Place,
    "IP address and port, or `unix:` and the path of a Unix socket.",
);

static MODE: Key<Mode> = Key::new(
    "mode",
    Mode,
    "File mode of a Unix socket, in octal. Whoever may write to it may connect.",
);

static PROXY_PROTOCOL: Key<Choice<bool>> = Key::new(
    "proxy_protocol",
    // Whoever may write the header chooses what the log says, so that it is read where that was asked for,
    // and then never left out.
    Choice { of: &[("off", false), ("required", true)], default: false },
    "`required`: each connection begins with a PROXY protocol header, version 1 or 2, which names \
     the client. A connection without one is closed. Only the balancer may reach this listener.",
);

/// Where clients connect, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: ListenAddress,
    /// Permission bits of a Unix socket.
    pub mode: u32,
    /// Each connection begins with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// In clear where there is none.
    pub tls: Option<ListenerTls>,
}

impl From<ListenAddress> for Listener {
    /// In clear, and directly.
    fn from(address: ListenAddress) -> Self {
        Self { address, mode: OURS_ALONE, proxy_protocol: false, tls: None }
    }
}

impl From<SocketAddr> for Listener {
    fn from(address: SocketAddr) -> Self {
        ListenAddress::Ip(address).into()
    }
}

impl Entry for Listen {
    fn name(&self) -> &'static str {
        NAME
    }

    fn required(&self) -> bool {
        false
    }

    fn schema(&self) -> Value {
        let mut one = LISTENER.schema_of_one();
        let address = ADDRESS.kind.schema();
        if let Some(one) = one.as_object_mut() {
            one.insert("type".into(), json!(["string", "object"]));
            one.insert("pattern".into(), address["pattern"].clone());
        }
        json!({
            "type": ["string", "array"],
            "pattern": address["pattern"],
            "minItems": 1,
            "items": one,
            "description": format!("{DOC} Default: {}.", address::default()),
        })
    }

    fn rows(&self, prefix: &str, rows: &mut Vec<Row>) {
        let first = rows.len();
        LISTENER.rows(prefix, rows);
        if let Some(row) = rows.get_mut(first) {
            "address, or a list of addresses and sections".clone_into(&mut row.kind);
            row.default = format!("`{}`", address::default());
        }
    }
}

/// All of them, each with its place.
pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<(At, Listener)> {
    let Some(node) = root.node(NAME) else {
        return vec![(root.at, address::default().into())];
    };
    let Data::List(items) = &node.data else {
        let address = reader.value(node, NAME, &Place).flatten();
        return address.map(|address| (node.at, address.into())).into_iter().collect();
    };
    if items.is_empty() {
        reader.fault(node.at, NAME, "is an empty list", "write at least one item");
    }
    let mut all = Vec::with_capacity(items.len());
    for (nth, item) in reader.items(items, node.at, NAME).iter().enumerate() {
        let listener = if let Data::Text(_) = item.data {
            reader.value(item, NAME, &Place).flatten().map(Listener::from)
        } else {
            let fields = reader.open(&LISTENER, item, format!("{NAME}[{nth}]"));
            fields.and_then(|fields| Listener::read(reader, &fields))
        };
        all.extend(listener.map(|listener| (item.at, listener)));
    }
    all
}

impl Listener {
    /// All keys are read, so that a fault in one is found though the address is faulty.
    fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Self> {
        let address = reader.get(fields, &ADDRESS);
        let mode = reader.get(fields, &MODE);
        let proxy_protocol = reader.get(fields, &PROXY_PROTOCOL);
        let tls = ListenerTls::read(reader, fields);
        if fields.has(MODE.name) && matches!(address, Some(ListenAddress::Ip(_))) {
            let hint = "remove the line, or write the address of a Unix socket";
            reader.fault_in(fields, &MODE, "has no effect on an IP address", hint);
        }
        Some(Self { address: address?, mode, proxy_protocol, tls })
    }
}

/// Nobody but the user that the proxy runs as: what holds a key is not for everybody on the machine.
const OURS_ALONE: u32 = 0o600;

/// Permission bits in octal, as `chmod` has them.
struct Mode;

impl Kind for Mode {
    type Value = u32;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<u32, Complaint> {
        let octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777);
        mode.ok_or_else(|| Complaint::new("is not a file mode in octal", "write it like 0660"))
    }

    fn absent(&self) -> u32 {
        OURS_ALONE
    }

    fn name(&self) -> String {
        "file mode".into()
    }

    fn default_text(&self) -> Option<String> {
        Some(format!("{OURS_ALONE:04o}"))
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^[0-7]{3,4}$|\\$\\{" },
        ] })
    }
}
