//! A table for a terminal: columns as wide as their widest cell, the last one as it is.

/// One line for each row.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            let gap = 2 + width - cell.chars().count();
            line.extend(std::iter::repeat_n(' ', gap));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_begin_under_each_other_and_lines_end_without_blanks() {
        let rows = [["a", "b"], ["long", "c"], ["ü", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a     b\nlong  c\nü\n");
    }
}
