//! A script's steps as an answer under HTTP/2.

use bytes::Bytes;

use super::answer::Answer;
use crate::upstream::script::sink::{Gone, Sink};
use crate::upstream::script::step::{Goaway, Head};
use crate::upstream::wire::Cut;

impl Sink for Answer {
    async fn informational(&mut self, head: &Head) -> Result<(), Gone> {
        Answer::informational(self, head)
    }

    fn head(&mut self, head: &Head, end: bool) -> Result<(), Gone> {
        Answer::head(self, head, end)
    }

    async fn data(&mut self, frame: Bytes, more: usize, end: bool) -> Result<(), Gone> {
        Answer::data(self, frame, more, end).await
    }

    async fn breathe(&mut self) {
        tokio::task::yield_now().await;
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn empty_frames(&mut self, count: u32) {
        Answer::empty_frames(self, count).await;
    }

    async fn trailers(&mut self, lines: &[(String, String)]) -> Result<(), Gone> {
        Answer::trailers(self, lines)
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        Answer::finish(self)
    }

    async fn raw(&mut self, bytes: Bytes) -> Result<(), Gone> {
        Answer::raw(self, bytes).await;
        Ok(())
    }

    fn has_raw_heads(&self) -> bool {
        false
    }

    async fn cut(&mut self, how: Cut) {
        Answer::cut(self, how).await;
    }

    async fn reset(&mut self, code: u32) {
        Answer::reset(self, code).await;
    }

    async fn refuse(&mut self) {
        Answer::reset(self, h2::Reason::REFUSED_STREAM.into()).await;
    }

    async fn goaway(&mut self, which: Goaway) -> bool {
        Answer::goaway(self, which).await
    }

    async fn gone(&mut self) -> Gone {
        Answer::gone(self).await
    }
}
