//! The JSON of answers that are not streamed.

use serde_json::{Value, json};

use super::Asked;
use crate::upstream::clock::now_ns;
use crate::upstream::script::seen::Seen;
use crate::upstream::stream::chunk::{About, CREATED, Shape, prose, response, usage};

const MODELS: [&str; 3] = ["gpt-mock", "gpt-mock-mini", "text-embedding-mock"];
/// As many as OpenAI's smallest model has by default.
const DIMENSIONS: usize = 1536;
const MOST_DIMENSIONS: usize = 4096;
const MOST_INPUTS: usize = 2048;

/// A whole generation; `choices` is how many alternatives were asked for.
pub(super) fn generation(about: &About, seen: &Seen, tokens: u64, choices: u64) -> Value {
    let text = prose(tokens.min(1 << 16));
    let nth = seen.nth;
    let usage = usage(about.prompt_tokens, tokens.saturating_mul(choices));
    let mut body = match about.shape {
        Shape::Responses => response(about, nth, "completed", tokens, Some(&text)),
        Shape::Chat => {
            let choice = |n| {
                json!({"index": n, "finish_reason": "stop", "logprobs": null,
                    "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []}})
            };
            json!({"id": format!("chatcmpl-{nth:016x}"), "object": "chat.completion", "created": CREATED,
                "model": about.model, "choices": (0..choices).map(choice).collect::<Vec<_>>(), "usage": usage,
                "service_tier": "default", "system_fingerprint": "fp_mock"})
        }
        Shape::Completion => {
            let choice =
                |n| json!({"index": n, "text": text, "logprobs": null, "finish_reason": "stop"});
            json!({"id": format!("cmpl-{nth:016x}"), "object": "text_completion", "created": CREATED,
                "model": about.model, "choices": (0..choices).map(choice).collect::<Vec<_>>(), "usage": usage})
        }
    };
    body["mock"] = mock(seen);
    body
}

/// What the mock adds to answers that are not streamed.
fn mock(seen: &Seen) -> Value {
    json!({"recv_ns": format!("{:020}", seen.head_ns), "sent_ns": format!("{:020}", now_ns()),
        "body_bytes": seen.body_len, "body_sha256": seen.body_sha256})
}

/// One vector per input, fixed; as floats, or as base64 of little-endian f32 as SDKs ask by default.
pub(super) fn embeddings(asked: &Asked) -> Value {
    let inputs = match &asked.input {
        Value::Array(inputs) if inputs.iter().any(|input| !input.is_number()) => inputs.len(),
        _ => 1,
    };
    let dimensions = asked.dimensions.unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    let vector: Vec<f32> = (0..dimensions).map(|n| 1.0 / (n as f32 + 2.0)).collect();
    let vector = if asked.encoding_format.as_deref() == Some("base64") {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        json!(base64(&bytes))
    } else {
        json!(vector)
    };
    let item = |n| json!({"object": "embedding", "index": n, "embedding": vector});
    let data: Vec<Value> = (0..inputs.min(MOST_INPUTS)).map(item).collect();
    json!({"object": "list", "data": data, "model": asked.model,
        "usage": {"prompt_tokens": 8 * inputs, "total_tokens": 8 * inputs}})
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let three = [group[0], *group.get(1).unwrap_or(&0), *group.get(2).unwrap_or(&0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// The list of models.
pub(super) fn models() -> Value {
    json!({"object": "list", "data": MODELS.map(model)})
}

/// One model.
pub(super) fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"})
}

/// A file that was uploaded, with what arrived of the whole multipart body.
pub(super) fn file(seen: &Seen) -> Value {
    json!({"id": format!("file-{:016x}", seen.nth), "object": "file", "bytes": seen.body_len,
        "created_at": CREATED, "filename": "upload", "purpose": "user_data", "status": "processed",
        "mock": mock(seen)})
}

/// A transcription, with what arrived of the whole multipart body.
pub(super) fn transcription(seen: &Seen) -> Value {
    json!({"text": "mock transcription", "mock": mock(seen)})
}

/// An error in OpenAI's shape.
pub(super) fn error(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// What OpenAI says to a path that it does not know.
pub(super) fn unknown(method: &str, path: &str) -> Value {
    let message = format!("Invalid URL ({method} {path})");
    error("invalid_request_error", Some("unknown_url"), &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_as_the_rfc_says() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
