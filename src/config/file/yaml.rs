//! YAML text → a tree that knows the line and column of every key and value.
//!
//! Built from the parser's events rather than from a ready-made document, because a document
//! has already dropped duplicate keys and turned scalars into numbers; here a scalar stays the
//! text that was written, and each key decides what it means.

use std::collections::HashMap;
use std::net::SocketAddr;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::bounds::{DEEPEST, LONGEST_KEY, LONGEST_VALUE, MOST_BYTES, MOST_NODES};
use super::fault::At;
use super::merge;
pub(in crate::config) use super::node::{Data, Flaw, Name, Node};

/// The document's root; `None` where the text breaks off, is empty, or is more than may be. What was
/// found wrong is added to `flaws`; what ended the reading comes first.
pub(in crate::config) fn parse(text: &str, flaws: &mut Vec<Flaw>) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // the mark that Windows editors write
    let mut tree = Tree {
        flaws,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        size: Size::default(),
    };
    for event in Parser::<StrInput<'_>>::new_from_str(text) {
        let done = match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => Err(broken(text, &error)),
        };
        if let Err((at, what, hint)) = done {
            let hint = ipv6_hint(text, at).unwrap_or(hint);
            tree.flaws.insert(0, (at, what, hint));
            return None;
        }
    }
    tree.root
}

/// Where and why the text breaks off. A `${…}` within `{ }` or `[ ]` is the likeliest slip of all:
/// its own brackets are YAML's there.
fn broken(text: &str, error: &ScanError) -> Flaw {
    let at = place(*error.marker());
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
    let hint = if error.info().contains("flow") && line.contains("${") {
        "put quotes around a `${…}` inside `{ }` or `[ ]`"
    } else {
        "check indentation and quotes on this line and above it"
    };
    (at, format!("is not valid YAML: {}", error.info()), hint.into())
}

/// The brackets of an IPv6 address are YAML's too, which may show on the next line only.
fn ipv6_hint(text: &str, at: At) -> Option<String> {
    let mut lines = text.lines().skip(at.line.saturating_sub(2)).take(2);
    let address = lines.find_map(bare_ipv6)?;
    Some(format!("put quotes around an IPv6 address: \"{address}\""))
}

/// An IPv6 address with a port that no quotes keep from YAML.
fn bare_ipv6(line: &str) -> Option<&str> {
    let code = line.split(" #").next().unwrap_or_default();
    code.match_indices("]:").find_map(|(end, _)| {
        let begin = code[..end].rfind('[')?;
        let port = code[end + 2..].bytes().take_while(u8::is_ascii_digit).count();
        let quoted = code[..begin].ends_with(['"', '\'']);
        let address = &code[begin..end + 2 + port];
        (!quoted && address.parse::<SocketAddr>().is_ok()).then_some(address)
    })
}

fn place(marker: saphyr_parser::Marker) -> At {
    At { line: marker.line(), column: marker.col() + 1 }
}

/// The tree while it grows. A stack of its own, not recursion: depth is the file's choice.
struct Tree<'f> {
    flaws: &'f mut Vec<Flaw>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    root: Option<Node>,
    /// Of all that was built, the copies that aliases and anchors need among it.
    size: Size,
}

/// How much a part of the tree is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    fn of_text(text: &str) -> Self {
        Self { nodes: 1, bytes: text.len() }
    }

    fn and(self, other: Self) -> Self {
        Self { nodes: self.nodes + other.nodes, bytes: self.bytes + other.bytes }
    }
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: At,
    anchor: usize,
    what: Growing,
}

enum Growing {
    List(Vec<Node>),
    Map { entries: Vec<(Name, Node)>, key: Option<Name>, known: HashMap<String, At> },
}

impl Tree<'_> {
    /// An error ends the reading; what can be read past is only noted.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Flaw> {
        let at = place(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(at, tag.as_deref());
                let nothing =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null");
                self.count(at, Size::of_text(&text))?;
                if text.len() > LONGEST_VALUE {
                    return Err(long_text(at));
                }
                let data = if nothing { Data::Nothing } else { Data::Text(text.into_owned()) };
                self.place(Node { at, data }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(at, tag.as_deref());
                self.open(Open { at, anchor, what: Growing::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(at, tag.as_deref());
                self.open(Open {
                    at,
                    anchor,
                    what: Growing::Map { entries: Vec::new(), key: None, known: HashMap::new() },
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(at, anchor),
            Event::DocumentStart(_) if self.root.is_some() => {
                let hint = "a file can contain only one configuration: remove the `---`";
                Err((at, "starts a second document".into(), hint.into()))
            }
            _ => Ok(()),
        }
    }

    fn refuse_tag(&mut self, at: At, tag: Option<&Tag>) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            let hint = "tags are not supported; put quotes around a value that begins with `!`";
            self.flaws.push((at, "has a tag, `!…`".into(), hint.into()));
        }
    }

    fn open(&mut self, open: Open) -> Result<(), Flaw> {
        if self.open.len() == DEEPEST {
            return Err((
                open.at,
                format!("is nested deeper than {DEEPEST} levels"),
                String::new(),
            ));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Flaw> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = match open.what {
            Growing::List(items) => Data::List(items),
            Growing::Map { entries, .. } => Data::Map(merge::merged(entries, self.flaws)),
        };
        self.count(open.at, Size::of_text(""))?;
        self.place(Node { at: open.at, data }, open.anchor)
    }

    fn alias(&mut self, at: At, anchor: usize) -> Result<(), Flaw> {
        let Some((_, size)) = self.anchors.get(&anchor) else {
            return Err((at, "refers to an anchor that it is part of".into(), String::new()));
        };
        self.count(at, *size)?;
        match self.anchors.get(&anchor) {
            Some((node, _)) => self.place(Node { at, ..node.clone() }, 0),
            None => Ok(()),
        }
    }

    /// To be asked before anything is built.
    fn count(&mut self, at: At, more: Size) -> Result<(), Flaw> {
        self.size = self.size.and(more);
        let shared =
            "an anchored part counts twice, and each alias counts as the part it refers to";
        if self.size.nodes > MOST_NODES {
            let what = format!("expands to more than {MOST_NODES} keys and values");
            return Err((at, what, shared.into()));
        }
        if self.size.bytes > MOST_BYTES {
            let what = format!("expands to more than {MOST_BYTES} bytes of keys and values");
            return Err((at, what, shared.into()));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: as a key, a value, an item or the root.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        if anchor != 0 {
            let size = size_of(&node);
            self.count(node.at, size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.what) {
            None => self.root = Some(node),
            Some(Growing::List(items)) => items.push(node),
            Some(Growing::Map { entries, key, known }) => match key.take() {
                Some(name) => match known.get(&name.text) {
                    None => {
                        known.insert(name.text.clone(), name.at);
                        entries.push((name, node));
                    }
                    Some(first) => {
                        let what = format!("`{}` is written twice", name.text);
                        let way_out = match &*name.text {
                            merge::MERGE => "write one with a list, `<<: [*a, *b]`",
                            _ => "remove one of them",
                        };
                        let hint = format!("the first one is on line {}; {way_out}", first.line);
                        self.flaws.push((name.at, what, hint));
                    }
                },
                None => *key = Some(name_of(node)?),
            },
        }
        Ok(())
    }
}

fn name_of(node: Node) -> Result<Name, Flaw> {
    match node.data {
        Data::Text(text) if text.len() <= LONGEST_KEY => Ok(Name { at: node.at, text }),
        Data::Text(_) => {
            let what = format!("is a key longer than {LONGEST_KEY} bytes");
            Err((node.at, what, "check for a missing colon above it".into()))
        }
        _ => Err((node.at, "is a key that is not text".into(), String::new())),
    }
}

fn long_text(at: At) -> Flaw {
    let what = format!("is a value longer than {LONGEST_VALUE} bytes");
    (at, what, "no key allows a value this long; check for a missing quote".into())
}

fn size_of(node: &Node) -> Size {
    let itself = Size::of_text("");
    match &node.data {
        Data::Nothing => itself,
        Data::Text(text) => Size::of_text(text),
        Data::List(items) => items.iter().map(size_of).fold(itself, Size::and),
        Data::Map(entries) => {
            let entry =
                |(name, value): &(Name, Node)| Size::of_text(&name.text).and(size_of(value));
            entries.iter().map(entry).fold(itself, Size::and)
        }
    }
}
