//! `--keep`: how to try it oneself.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};

use super::ends::Ends;
use super::screen::Screen;

/// Says how to use what runs, and returns on SIGINT or SIGTERM.
pub(super) async fn until_told(ends: &Ends, screen: &mut Screen) -> Result<(), Box<dyn Error>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    screen.line(&invitation(&ends.page_url(), &ends.proxy_url(), &ends.admin_url()))?;
    open(&ends.page_url());
    tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
    screen.line("")?;
    Ok(())
}

/// Has the desktop open a page, where there is a desktop and somebody sits at a terminal.
fn open(page: &str) {
    let has_desktop =
        ["DISPLAY", "WAYLAND_DISPLAY"].map(std::env::var_os).iter().any(Option::is_some);
    if has_desktop && io::stdout().is_terminal() {
        let quiet = Command::new("xdg-open")
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        // Who has no such program has the line above.
        drop(quiet);
    }
}

fn invitation(page: &str, proxy: &str, admin: &str) -> String {
    format!(
        r#"
The upstream and the proxy keep running until Ctrl-C. Open

  {page}

to see a stream token by token, with its gaps, and to drop the network under it. Or try

  curl -N {proxy}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model":"gpt-mock","stream":true,"messages":[{{"role":"user","content":"hi"}}]}}'

  # Python: pip install openai
  from openai import OpenAI
  client = OpenAI(base_url="{proxy}/v1", api_key="any")
  messages = [{{"role": "user", "content": "hi"}}]
  for chunk in client.chat.completions.create(model="gpt-mock", messages=messages, stream=True):
      print(chunk.choices[0].delta.content or "", end="", flush=True)

  // Node, as a module: npm install openai
  import OpenAI from "openai";
  const client = new OpenAI({{ baseURL: "{proxy}/v1", apiKey: "any" }});
  const messages = [{{ role: "user", content: "hi" }}];
  const stream = await client.chat.completions.create({{ model: "gpt-mock", messages, stream: true }});
  for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? "");

and look at {admin}/stats, {admin}/metrics, {admin}/readyz"#
    )
}
