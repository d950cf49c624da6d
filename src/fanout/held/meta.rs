//! What a stream is, as a hash in Redis: enough for another process to serve it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::config::Resume;
use crate::error::Kind;
use crate::streams::{End, KeptHead, NewStream, Owner};

/// A stream of another process.
#[derive(Debug)]
pub(in crate::fanout) struct Meta {
    /// Who reads its upstream.
    pub(in crate::fanout) instance: Box<str>,
    pub(in crate::fanout) made: NewStream,
}

/// The fields of a stream that `instance` reads. None of them is a key of a client.
pub(in crate::fanout) fn written(made: &NewStream, instance: &str) -> Vec<(&'static str, Vec<u8>)> {
    let millis = |span: Duration| span.as_millis().to_string().into_bytes();
    let mut fields = vec![
        ("instance", instance.into()),
        ("owner", owner(&made.owner)),
        ("route", made.route.as_bytes().to_vec()),
        ("status", made.head.status.as_str().into()),
        ("bytes", made.keeps.bytes.to_string().into()),
        ("ttl", millis(made.keeps.ttl)),
        ("detached", millis(made.keeps.detached)),
        ("streams", made.keeps.streams.to_string().into()),
    ];
    let named = [("type", &made.head.content_type), ("encoding", &made.head.content_encoding)];
    for (name, value) in named {
        fields.extend(value.as_ref().map(|value| (name, value.as_bytes().to_vec())));
    }
    let conversation = made.conversation.as_ref();
    fields.extend(conversation.map(|name| ("conversation", name.as_bytes().to_vec())));
    fields
}

/// `None` where no stream is there, or something that is none.
pub(in crate::fanout) fn read(fields: &[(Vec<u8>, Vec<u8>)]) -> Option<Meta> {
    let get = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name.as_bytes());
        found.map(|(_, value)| &**value)
    };
    let text = |name: &str| std::str::from_utf8(get(name)?).ok();
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let header = |name: &str| get(name).and_then(|value| HeaderValue::from_bytes(value).ok());
    let owner = match text("owner")?.split_once(' ')? {
        ("client", name) => Owner::Client(name.into()),
        ("anyone", "") => Owner::Anyone,
        _ => return None,
    };
    let keeps = Resume {
        bytes: usize::try_from(number("bytes")?).ok()?,
        ttl: Duration::from_millis(number("ttl")?),
        detached: Duration::from_millis(number("detached")?),
        streams: usize::try_from(number("streams")?).ok()?,
        anonymous: owner == Owner::Anyone,
    };
    let head = KeptHead {
        status: StatusCode::from_bytes(get("status")?).ok()?,
        content_type: header("type"),
        content_encoding: header("encoding"),
    };
    let made = NewStream {
        owner,
        conversation: text("conversation").map(Into::into),
        head,
        route: Arc::from(text("route")?),
        keeps,
        is_elsewhere: true,
    };
    Some(Meta { instance: text("instance")?.into(), made })
}

/// How a stream ended, as a word; why it was cut is for the log of the process that read it.
pub(in crate::fanout) fn word(end: End) -> &'static str {
    match end {
        End::Complete => "complete",
        End::Stopped => "stopped",
        End::Cut(_) => "cut",
    }
}

/// What a word says; what is not known is no end that a client may take for a whole answer.
pub(in crate::fanout) fn end(word: &str) -> End {
    match word {
        "complete" => End::Complete,
        "stopped" => End::Stopped,
        _ => End::Cut(Kind::StreamCut),
    }
}

fn owner(owner: &Owner) -> Vec<u8> {
    match owner {
        Owner::Client(name) => format!("client {name}").into(),
        Owner::Anyone => "anyone ".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(owner: Owner) -> NewStream {
        NewStream {
            owner,
            conversation: Some("chat 7".into()),
            head: KeptHead {
                status: StatusCode::CREATED,
                content_type: Some(HeaderValue::from_static("text/event-stream")),
                content_encoding: None,
            },
            route: "/v1".into(),
            keeps: Resume {
                bytes: 9,
                ttl: Duration::from_millis(1500),
                detached: Duration::from_secs(2),
                streams: 3,
                anonymous: false,
            },
            is_elsewhere: false,
        }
    }

    fn fields(made: &NewStream) -> Vec<(Vec<u8>, Vec<u8>)> {
        written(made, "me").into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    #[test]
    fn a_stream_is_read_as_it_was_written() {
        for owner in [Owner::Client("a b".into()), Owner::Anyone] {
            let made = made(owner);
            let read = read(&fields(&made)).expect("it is one");
            assert_eq!((&*read.instance, read.made.is_elsewhere), ("me", true));
            assert_eq!(
                (read.made.owner, read.made.conversation, read.made.head, read.made.route),
                (made.owner, made.conversation, made.head, made.route)
            );
            assert_eq!(read.made.keeps.ttl, made.keeps.ttl);
        }
    }

    #[test]
    fn what_lacks_something_is_no_stream() {
        let whole = fields(&made(Owner::Anyone));
        assert!(read(&[]).is_none());
        for name in ["instance", "owner", "status", "bytes", "ttl", "detached", "streams", "route"]
        {
            let less: Vec<_> =
                whole.iter().filter(|(known, _)| known != name.as_bytes()).cloned().collect();
            assert!(read(&less).is_none(), "{name}");
        }
        for word in ["complete", "stopped", "cut", "?"] {
            let is_whole = end(word) == End::Complete;
            assert_eq!(is_whole, word == "complete");
        }
    }
}
