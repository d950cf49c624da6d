//! A script's steps as an answer under HTTP/1.1.

use bytes::Bytes;

use super::answer::Answer;
use crate::upstream::script::sink::{Gone, Sink};
use crate::upstream::script::step::{Goaway, Head};
use crate::upstream::wire::Cut;

impl Sink for Answer {
    async fn informational(&mut self, head: &Head) -> Result<(), Gone> {
        Answer::informational(self, head).await
    }

    fn head(&mut self, head: &Head, end: bool) -> Result<(), Gone> {
        Answer::head(self, head, end);
        Ok(())
    }

    async fn data(&mut self, frame: Bytes, _: usize, end: bool) -> Result<(), Gone> {
        Answer::data(self, &frame, end).await
    }

    async fn breathe(&mut self) {}

    async fn flush(&mut self) -> Result<(), Gone> {
        Answer::flush(self).await
    }

    async fn empty_frames(&mut self, _: u32) {}

    async fn trailers(&mut self, lines: &[(String, String)]) -> Result<(), Gone> {
        Answer::trailers(self, lines).await
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        Answer::finish(self).await
    }

    async fn raw(&mut self, bytes: Bytes) -> Result<(), Gone> {
        Answer::raw(self, &bytes).await
    }

    fn has_raw_heads(&self) -> bool {
        true
    }

    async fn cut(&mut self, how: Cut) {
        Answer::cut(self, how).await;
    }

    async fn reset(&mut self, _: u32) {
        Answer::cut(self, Cut::Rst).await;
    }

    async fn refuse(&mut self) {
        Answer::cut(self, Cut::Fin).await;
    }

    async fn goaway(&mut self, _: Goaway) -> bool {
        self.close_after();
        false
    }

    async fn gone(&mut self) -> Gone {
        std::future::pending().await
    }
}
