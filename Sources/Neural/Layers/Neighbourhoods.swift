/// The 3×3 neighbourhoods of the pixels of a map as rows of a matrix, which turns a convolution
/// into a product ("im2col").
///
/// Row j of output line i holds the pixels `x[s i + ky - 1, s j + kx - 1]` for stride s, ordered
/// (ky, kx, channel); outside of the map is zero. For one ky they lie side by side in the map, too,
/// so that each row of the matrix is three stretches of it.
struct Neighbourhoods: Sendable {
  let input: MapShape
  let channels: Int
  let stride: Int

  var output: MapShape { input.thinned(by: stride) }

  /// Numbers that are gathered at a time: 1 MiB, to stay in a core's cache until the product.
  private static let blockSize = 1 << 18

  /// The output lines of so many maps, counted through all of them, in blocks to be gathered at a
  /// time.
  func blocks(batch: Int) -> [Range<Int>] {
    let lines = batch * output.height
    return (0..<lines).parts(of: max(1, Self.blockSize / (output.width * 9 * channels)))
  }

  /// The pixels of some output lines, as rows of a matrix.
  func pixels(_ lines: Range<Int>) -> Range<Int> {
    lines.lowerBound * output.width..<lines.upperBound * output.width
  }

  /// Fills `columns` with the neighbourhoods of some output lines, `[pixels, 9·channels]`.
  func gather(_ x: Matrix, _ lines: Range<Int>, into columns: inout Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (width, size) = (output.width, 3 * channels)
    precondition(
      x.columns == channels && lines.lowerBound >= 0
        && lines.upperBound <= input.batch(of: x) * output.height, "lines of other maps")
    columns.resize(lines.count * width, 3 * size)
    withPointers(x.elements, &columns.elements) { x, columns in
      var to = columns
      for line in lines {
        let (image, i) = line.quotientAndRemainder(dividingBy: output.height)
        for j in 0..<width {
          for ky in 0..<3 {
            let (before, from, count) = stretch(image, stride * i + ky - 1, stride * j - 1)
            if count < size { to.update(repeating: 0, count: size) }
            (to + before).update(from: x + from, count: count)
            to += size
          }
        }
      }
    }
  }

  /// Adds to every pixel of `dx` what `columns` has in its places: the transpose of ``gather``.
  func scatter(_ columns: Matrix, _ lines: Range<Int>, to dx: inout Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (width, size) = (output.width, 3 * channels)
    precondition(columns.rows == lines.count * width && columns.columns == 3 * size)
    var from = 0
    let columns = columns.elements.span
    var dx = dx.elements.mutableSpan
    for line in lines {
      let (image, i) = line.quotientAndRemainder(dividingBy: output.height)
      for j in 0..<width {
        for ky in 0..<3 {
          let (before, to, count) = stretch(image, stride * i + ky - 1, stride * j - 1)
          let inside = from + before
          for k in 0..<count { dx[to + k] += columns[inside + k] }
          from += size
        }
      }
    }
  }

  /// Three pixels side by side, the first at (row, column) of an image's map: how many of their
  /// numbers come before the map's, where in the batch those inside begin, and how many they are.
  @inline(__always)
  private func stretch(
    _ image: Int, _ row: Int, _ column: Int
  ) -> (before: Int, start: Int, count: Int) {
    guard row >= 0, row < input.height else { return (0, 0, 0) }
    let (first, end) = (max(0, column), min(input.width, column + 3))
    let start = ((image * input.height + row) * input.width + first) * channels
    return ((first - column) * channels, start, (end - first) * channels)
  }
}
