//! YAML text → a tree that knows the line and column of every key and value.
//!
//! Built from the parser's events rather than from a ready-made document, because a document
//! has already dropped duplicate keys and turned scalars into numbers; here a scalar stays the
//! text that was written, and each key decides what it means.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::fault::At;

/// Deepest nesting that is followed; the deepest key is four down.
const DEEPEST: usize = 16;
/// Nodes that a file may unfold to, so that aliases of aliases cannot fill the memory.
const MOST_NODES: usize = 50_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Nothing at all, `~` or `null`.
    Nothing,
    /// Text as written, after YAML's own quoting.
    Text(String),
    /// `- a` or `[a]`
    List(Vec<Node>),
    /// `a: b` or `{a: b}`, in order; keys are unique.
    Map(Vec<(Name, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) at: At,
    pub(super) text: String,
}

/// A fault of the text itself: where, what, hint.
pub(super) type Flaw = (At, String, String);

/// The document's root; `None` where the text breaks off or is empty. What was found wrong
/// is added to `flaws`.
pub(super) fn parse(text: &str, flaws: &mut Vec<Flaw>) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // the mark that Windows editors write
    let mut tree = Tree { flaws, open: Vec::new(), anchors: HashMap::new(), root: None, nodes: 0 };
    for event in Parser::<StrInput<'_>>::new_from_str(text) {
        let done = match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => Err(broken(text, &error)),
        };
        if let Err(flaw) = done {
            tree.flaws.push(flaw);
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
        "put quotes around a `${…}` that stands within `{ }` or `[ ]`"
    } else {
        "check indentation and quotes on this line and above it"
    };
    (at, format!("is not YAML: {}", error.info()), hint.into())
}

fn place(marker: saphyr_parser::Marker) -> At {
    At { line: marker.line(), column: marker.col() + 1 }
}

/// The tree while it grows. A stack of its own, not recursion: depth is the file's choice.
struct Tree<'f> {
    flaws: &'f mut Vec<Flaw>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: At,
    anchor: usize,
    what: Growing,
}

enum Growing {
    List(Vec<Node>),
    Map { entries: Vec<(Name, Node)>, key: Option<Name> },
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
                let data = if nothing { Data::Nothing } else { Data::Text(text.into_owned()) };
                self.place(Node { at, data }, anchor, 1)
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
                    what: Growing::Map { entries: Vec::new(), key: None },
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(mut node) => {
                    node.at = at;
                    let size = size_of(&node);
                    self.place(node, 0, size)
                }
                None => Err((at, "refers to an anchor that is not complete".into(), String::new())),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                let hint = "one file holds one configuration: remove the `---`";
                Err((at, "starts a second document".into(), hint.into()))
            }
            _ => Ok(()),
        }
    }

    fn refuse_tag(&mut self, at: At, tag: Option<&Tag>) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            let hint = "tags mean nothing here; put quotes around a value that begins with `!`";
            self.flaws.push((at, "has a tag, `!…`".into(), hint.into()));
        }
    }

    fn open(&mut self, open: Open) -> Result<(), Flaw> {
        if self.open.len() == DEEPEST {
            return Err((open.at, format!("is nested deeper than {DEEPEST}"), String::new()));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Flaw> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = match open.what {
            Growing::List(items) => Data::List(items),
            Growing::Map { entries, .. } => Data::Map(entries),
        };
        self.place(Node { at: open.at, data }, open.anchor, 1)
    }

    /// Puts a finished node where it belongs: as a key, a value, an item or the root.
    fn place(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Flaw> {
        self.nodes += size;
        if self.nodes > MOST_NODES {
            return Err((
                node.at,
                format!("unfolds to more than {MOST_NODES} values"),
                String::new(),
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.what) {
            None => self.root = Some(node),
            Some(Growing::List(items)) => items.push(node),
            Some(Growing::Map { entries, key }) => match key.take() {
                Some(name) => match entries.iter().find(|(other, _)| other.text == name.text) {
                    None => entries.push((name, node)),
                    Some((first, _)) => {
                        let what = format!("`{}` is written twice", name.text);
                        let hint = format!("the first is on line {}; keep one", first.at.line);
                        self.flaws.push((name.at, what, hint));
                    }
                },
                None => match node.data {
                    Data::Text(text) => *key = Some(Name { at: node.at, text }),
                    _ => return Err((node.at, "is a key that is not text".into(), String::new())),
                },
            },
        }
        Ok(())
    }
}

fn size_of(node: &Node) -> usize {
    match &node.data {
        Data::Nothing | Data::Text(_) => 1,
        Data::List(items) => 1 + items.iter().map(size_of).sum::<usize>(),
        Data::Map(entries) => 1 + entries.iter().map(|(_, value)| size_of(value)).sum::<usize>(),
    }
}
