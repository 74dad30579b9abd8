/// A column of a table in Markdown, and the width that it has on a terminal.
typealias Column = (name: String, width: Int)

extension [Column] {
  /// A line of the table, the first cell at the left and the others at the right.
  func line(_ cells: [String]) -> String {
    let padded = zip(cells, self).enumerated().map { index, cell in
      let fill = String(repeating: " ", count: Swift.max(0, cell.1.width - cell.0.count))
      return index == 0 ? cell.0 + fill : fill + cell.0
    }
    return "| " + padded.joined(separator: " | ") + " |"
  }

  /// The line below the heading.
  var rule: String { "|" + String(repeating: "---|", count: count) }
}
