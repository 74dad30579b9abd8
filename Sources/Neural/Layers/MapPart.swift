/// Maps that are some of the channels of others: of the same size, or of half of it. Every pixel of
/// the latter is one of a square of four, all alike (nearest neighbour).
struct MapPart: Sendable {
  let x: Matrix  // [batch·height·width, channels]
  let map: MapShape  // of x
  /// Where its channels begin among those of the whole, and how many these are.
  let first, total: Int
  let isEnlarged: Bool

  /// All channels.
  init(_ x: Matrix, on map: MapShape) {
    (self.x, self.map, first, total, isEnlarged) = (x, map, 0, x.columns, false)
  }

  /// Some channels of maps of the size `map`.
  ///
  /// - Parameter batch: how many maps `x` is; it is enlarged if it has a quarter of their pixels.
  init(_ x: Matrix, batch: Int, on map: MapShape, first: Int, of total: Int) {
    let half = MapShape(height: map.height / 2, width: map.width / 2)
    isEnlarged = x.rows != batch * map.pixels
    self.map = isEnlarged ? half : map
    precondition(
      x.rows == batch * self.map.pixels
        && (!isEnlarged || 4 * half.pixels == map.pixels), "maps of another size")
    precondition(first >= 0 && first + x.columns <= total, "\(x.columns) channels of \(total)")
    (self.x, self.first, self.total) = (x, first, total)
  }

  var channels: Int { x.columns }

  /// Whether it is all of the whole.
  var isWhole: Bool { channels == total && !isEnlarged }

  /// All parts side by side; the last one has the size of the whole.
  static func whole(_ parts: [MapPart]) -> Matrix {
    guard let last = parts.last, parts.count > 1 else { return parts.first?.x ?? Matrix(0, 0) }
    var whole = Matrix(unset: last.x.rows, last.total)
    for part in parts {
      let size = part.map.pixels * part.channels
      for image in 0..<part.map.batch(of: part.x) {
        let values = Array(part.x.elements[image * size..<(image + 1) * size])
        part.place(values, image, into: &whole.elements)
      }
    }
    return whole
  }

  /// The columns of `weight`, `[outputs, total]`, that are for this part.
  func columns(of weight: Matrix) -> Matrix {
    isWhole ? weight : weight.columns(first..<first + channels)
  }

  /// Of a derivative by the whole, `[pixels, total]`, that by this part.
  func derivative(of whole: Matrix) -> Matrix {
    precondition(whole.columns == total, "\(whole.columns) channels, not \(total)")
    if isWhole { return whole }
    return isEnlarged
      ? sums(of: whole, from: first, count: channels)
      : whole.columns(first..<first + channels)
  }

  /// Of maps of the whole's size, with channels of their own, those of this part's size: sums over
  /// its squares.
  func shrunk(_ maps: Matrix) -> Matrix {
    isEnlarged ? sums(of: maps, from: 0, count: maps.columns) : maps
  }

  /// `to += maps`, which are of this part's size, enlarged like it.
  func add(_ maps: Matrix, to sum: inout Matrix) {
    guard isEnlarged else { return sum.add(maps) }
    let (channels, width, lines) = (maps.columns, map.width, maps.rows / map.width)
    precondition(sum.rows == 4 * maps.rows && sum.columns == channels, "maps of another size")
    let maps = maps.elements.span
    var sums = sum.elements.mutableSpan
    for line in 0..<2 * lines {
      for j in 0..<width {
        let from = (line / 2 * width + j) * channels
        let to = 2 * (line * width + j) * channels
        let x = maps.extracting(from..<from + channels)
        var left = sums._mutatingExtracting(to..<to + channels)
        for i in 0..<channels { left[i] += x[i] }
        var right = sums._mutatingExtracting(to + channels..<to + 2 * channels)
        for i in 0..<channels { right[i] += x[i] }
      }
    }
  }

  /// Some channels of `maps`, summed over squares.
  private func sums(of maps: Matrix, from first: Int, count: Int) -> Matrix {
    let (all, width) = (maps.columns, map.width)
    precondition(maps.rows == 4 * x.rows, "maps of another size")
    var result = Matrix(unset: x.rows, count)
    let lines = x.rows / width
    var sums = result.elements.mutableSpan
    let maps = maps.elements.span
    for line in 0..<lines {
      for j in 0..<width {
        let to = (line * width + j) * count
        let upper = (4 * line * width + 2 * j) * all + first
        let lower = upper + 2 * width * all
        let a = maps.extracting(upper..<upper + count)
        let b = maps.extracting(upper + all..<upper + all + count)
        let c = maps.extracting(lower..<lower + count)
        let d = maps.extracting(lower + all..<lower + all + count)
        var sum = sums._mutatingExtracting(to..<to + count)
        for i in 0..<count { sum[i] = (a[i] + b[i]) + (c[i] + d[i]) }
      }
    }
    return result
  }

  /// Puts one map of this part, `[pixels, channels]`, into its place in the whole.
  func place(_ values: [Float], _ image: Int, into whole: inout [Float]) {
    let (channels, total, width) = (channels, total, map.width)
    let scale = isEnlarged ? 2 : 1
    let size = scale * scale * map.pixels * total
    precondition(
      image >= 0 && values.count == map.pixels * channels && (image + 1) * size <= whole.count,
      "map \(image) of others")
    withPointers(values, &whole) { x, y in
      var to = y + image * size + first
      for line in 0..<scale * map.height {
        let from = x + line / scale * width * channels
        for j in 0..<scale * width {
          to.update(from: from + j / scale * channels, count: channels)
          to += total
        }
      }
    }
  }
}
