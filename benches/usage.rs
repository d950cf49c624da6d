//! What it costs to know what an answer cost: the copy of each chunk's end, beside that of a stream that is only
//! watched for its end, and the one look at the end.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use firstbyte::relay::observers::{DoneScanner, Form, Observer, UsageReader};

const CHAT: &str = concat!(
    r#"data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-mini","#,
    r#""system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null}"#,
    "\n\n"
);

const LAST: &str = concat!(
    r#"data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-mini","#,
    r#""system_fingerprint":"fp_1","choices":[],"usage":{"prompt_tokens":2006,"completion_tokens":300,"#,
    r#""total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"#,
    r#""completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"#,
    r#""rejected_prediction_tokens":0}}}"#,
    "\n\ndata: [DONE]\n\n"
);

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("usage");
    group.throughput(Throughput::Elements(1));
    let joined = CHAT.repeat(16);
    let large = vec![b'x'; 16 * 1024];
    for (name, chunk) in [
        ("a chunk of a chat", CHAT.as_bytes()),
        ("sixteen of them", joined.as_bytes()),
        ("a chunk of 16 KiB", &large),
    ] {
        let mut done = DoneScanner::default();
        done.chunk(CHAT.as_bytes());
        group.bench_function(format!("{name}, its end watched"), |bencher| {
            bencher.iter(|| done.chunk(black_box(chunk)));
        });
        let Ok(mut usage) = UsageReader::of(Form::Events) else { continue };
        usage.chunk(CHAT.as_bytes());
        group.bench_function(format!("{name}, its usage kept"), |bencher| {
            bencher.iter(|| usage.chunk(black_box(chunk)));
        });
    }
    group.finish();
}

fn ends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("usage at the end");
    let responses = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":\"{}\",\
         \"usage\":{{\"input_tokens\":36,\"input_tokens_details\":{{\"cached_tokens\":8}},\"output_tokens\":87,\
         \"output_tokens_details\":{{\"reasoning_tokens\":64}},\"total_tokens\":123}},\"user\":null,\"metadata\":{{}}}}}}\n\n",
        "x".repeat(100_000)
    );
    let none = CHAT.repeat(400) + "data: [DONE]\n\n";
    for (name, body) in [
        ("of a short chat", CHAT.repeat(10) + LAST),
        ("of a chat", CHAT.repeat(400) + LAST),
        ("of a chat that has none", none.replace(",\"usage\":null", "")),
        ("of a response of 100 KB", responses),
    ] {
        let Ok(mut usage) = UsageReader::of(Form::Events) else { continue };
        usage.chunk(body.as_bytes());
        group.bench_function(name, |bencher| bencher.iter(|| black_box(&usage).usage(b"", true)));
    }
    group.bench_function("a reader made and dropped", |bencher| {
        bencher.iter_batched(|| Form::Events, UsageReader::of, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, frames, ends);
criterion_main!(benches);
