/// A way to move an image by whole pixels.
public struct Translation: Equatable, Sendable {
  public let down, right: Int

  public init(down: Int, right: Int) { (self.down, self.right) = (down, right) }
}

extension Matrix {
  /// Every image moved in its own way, without growing; what is uncovered is 0.
  ///
  /// - Parameters:
  ///   - translations: one for each row, an image of `map` pixels of so many channels as fit.
  public func translated(by translations: [Translation], on map: MapShape) -> Matrix {
    precondition(translations.count == rows && columns.isMultiple(of: map.pixels))
    let channels = columns / map.pixels
    var moved = Matrix(rows, columns)
    let x = elements.span
    var y = moved.elements.mutableSpan
    for (image, move) in translations.enumerated() {
      // What stays visible of every line.
      let width = max(0, map.width - abs(move.right))
      let count = width * channels
      for line in max(0, move.down)..<max(0, move.down, min(map.height, map.height + move.down)) {
        let to = ((image * map.height + line) * map.width + max(0, move.right)) * channels
        let from = to - (move.down * map.width + move.right) * channels
        for i in 0..<count { y[to + i] = x[from + i] }
      }
    }
    return moved
  }
}
