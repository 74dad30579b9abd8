/// The transforms of Winograd's F(4×4, 3×3) (Lavin & Gray 2016, arXiv 1509.09308, §4.3) between NHWC
/// maps and matrices of tiles, and their transposes, of which derivatives are made.
///
/// A map is covered by tiles of 4×4 outputs, each of which depends on 6×6 inputs. The matrix of the
/// tiles is a stack of 36 matrices `[tiles, channels]`, one for each place of the 6×6. Outside of
/// the map everything is zero. Every transform goes from lines of the map to strips, as many lines
/// side by side as a tile is high, and from strips to tiles; or the same way back.
///
/// Pointers, because compilers do not vectorise loops over so many streams. What they point at is
/// checked before they are made.
struct WinogradTiles: Sendable {
  let map: MapShape
  /// A multiple of ``together``.
  let channels: Int

  /// Channels that are worked on at once.
  static let together = WinogradVector.scalarCount

  init(map: MapShape, channels: Int) {
    precondition(channels.isMultiple(of: Self.together), "\(channels) channels")
    (self.map, self.channels) = (map, channels)
  }

  /// Tiles side by side, and lines of them in one map.
  var across: Int { (map.width + 3) / 4 }
  var down: Int { (map.height + 3) / 4 }

  /// `V = Bᵀ d B`: the 6×6 inputs of every tile.
  ///
  /// - Parameters:
  ///   - x: maps, `[batch·height·width, channels]`
  ///   - lines: of tiles, counted through all maps.
  ///   - v: `[36·tiles, channels]`
  func gather(_ x: [Float], _ lines: Range<Int>, into v: inout [Float]) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: x.count, lines, tiles: v.count)
    // A line of tiles beside a border of one pixel; and a line of zeros.
    var strips = [Float](repeating: 0, count: 6 * strip + size)
    withPointers(x, &strips, &v) { x, strips, v in
      let to = Six(strips + channels, every: strip)
      for (number, line) in lines.enumerated() {
        func d(_ row: Int) -> UnsafePointer<Float> {
          mapLine(line, row - 1).map { x + $0 } ?? UnsafePointer(strips + 6 * strip)
        }
        let (d0, d1, d2, d3, d4, d5) = (d(0), d(1), d(2), d(3), d(4), d(5))
        for i in vectors(size) {
          to.set(
            i,
            Winograd.inputs(
              d0.vector(i), d1.vector(i), d2.vector(i), d3.vector(i), d4.vector(i), d5.vector(i)))
        }
        for row in 0..<6 {
          for tile in 0..<across {
            let from = Six(strips + row * strip + 4 * tile * channels, every: channels)
            let to = Six(v + 6 * row * place + (number * across + tile) * channels, every: place)
            for i in vectors(channels) {
              let d = from.vectors(i)
              to.set(i, Winograd.inputs(d.0, d.1, d.2, d.3, d.4, d.5))
            }
          }
        }
      }
    }
  }

  /// Makes the maps `B V Bᵀ`: the transpose of ``gather(_:_:into:)``.
  ///
  /// - Parameter lines: the first are those from 0 on, others begin where those of the call before
  ///   ended: two lines of the map are added to what that call has set, all others are set.
  func scatter(_ v: [Float], _ lines: Range<Int>, into x: inout [Float]) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: x.count, lines, tiles: v.count)
    // The strips; and a line for what falls outside of the map.
    var strips = [Float](repeating: 0, count: 6 * strip + size)
    withPointers(v, &strips, &x) { v, strips, x in
      let from = Six(strips + channels, every: strip)
      for (number, line) in lines.enumerated() {
        strips.update(repeating: 0, count: 6 * strip)
        for row in 0..<6 {
          for tile in 0..<across {
            let from = Six(v + 6 * row * place + (number * across + tile) * channels, every: place)
            let to = Six(strips + row * strip + 4 * tile * channels, every: channels)
            for i in vectors(channels) { to.add(i, Winograd.transposedInputs(from.vectors(i))) }
          }
        }
        func d(_ row: Int) -> UnsafeMutablePointer<Float> {
          mapLine(line, row - 1).map { x + $0 } ?? strips + 6 * strip
        }
        let (d0, d1, d2, d3, d4, d5) = (d(0), d(1), d(2), d(3), d(4), d(5))
        // Two lines of the map are also of the line of tiles above, which has set them.
        let isFirst = line.isMultiple(of: down)
        for i in vectors(size) {
          let d = Winograd.transposedInputs(from.vectors(i))
          if isFirst {
            d1.set(i, d.1)
          } else {
            d0.add(i, d.0)
            d1.add(i, d.1)
          }
          d2.set(i, d.2)
          d3.set(i, d.3)
          d4.set(i, d.4)
          d5.set(i, d.5)
        }
      }
    }
  }

  /// `Aᵀ M A + bias + residual`: the 4×4 outputs of every tile.
  ///
  /// Leaves `m` zero, to add the next products to: where it is read that costs little, while BLAS would
  /// go through all of it once more.
  ///
  /// - Parameters:
  ///   - m: `[36·tiles, channels]`
  ///   - bias: one number for every channel.
  ///   - residual: maps like `y`; zero if nil.
  ///   - y: maps, `[batch·height·width, channels]`
  func assemble(
    clearing m: inout [Float], plus bias: [Float], _ residual: [Float]?, _ lines: Range<Int>,
    into y: inout [Float]
  ) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: y.count, lines, tiles: m.count)
    precondition(bias.count == channels, "\(bias.count) biases of \(channels) channels")
    precondition(residual.map { $0.count == y.count } ?? true, "a residual of other maps")
    // The strips; the bias along a line; and a line for outputs outside of the map.
    var strips = [Float](repeating: 0, count: 6 * strip)
    for _ in 0..<map.width { strips += bias }
    strips += [Float](repeating: 0, count: size)
    let isPlain = residual == nil
    withPointers(residual ?? [Float](repeating: 0, count: size), &m, &strips, &y) {
      residual, m, strips, y in
      let (from, bias) = (Six(strips, every: strip), strips + 6 * strip)
      for (number, line) in lines.enumerated() {
        for row in 0..<6 {
          for tile in 0..<across {
            let from = Six(m + 6 * row * place + (number * across + tile) * channels, every: place)
            let to = Six(strips + row * strip + 4 * tile * channels, every: channels)
            for i in vectors(channels) {
              let y = Winograd.outputs(from.vectors(i))
              from.clear(i)
              to.a.set(i, y.0)
              to.b.set(i, y.1)
              to.c.set(i, y.2)
              to.d.set(i, y.3)
            }
          }
        }
        func to(_ row: Int) -> UnsafeMutablePointer<Float> {
          mapLine(line, row).map { y + $0 } ?? bias + size
        }
        func plus(_ row: Int) -> UnsafePointer<Float> {
          residual + (isPlain ? 0 : mapLine(line, row) ?? 0)
        }
        let (y0, y1, y2, y3) = (to(0), to(1), to(2), to(3))
        let (r0, r1, r2, r3) = (plus(0), plus(1), plus(2), plus(3))
        for i in vectors(size) {
          let (y, bias) = (Winograd.outputs(from.vectors(i)), bias.vector(i))
          y0.set(i, y.0 + bias + r0.vector(i))
          y1.set(i, y.1 + bias + r1.vector(i))
          y2.set(i, y.2 + bias + r2.vector(i))
          y3.set(i, y.3 + bias + r3.vector(i))
        }
      }
    }
  }

  /// `M = A y Aᵀ`: the transpose of ``assemble(clearing:plus:_:_:into:)`` without its bias.
  func spread(_ y: [Float], _ lines: Range<Int>, into m: inout [Float]) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: y.count, lines, tiles: m.count)
    // The strips, zero beyond the map's width; and a line of zeros.
    var strips = [Float](repeating: 0, count: 6 * strip + size)
    withPointers(y, &strips, &m) { y, strips, m in
      let to = Six(strips, every: strip)
      for (number, line) in lines.enumerated() {
        func from(_ row: Int) -> UnsafePointer<Float> {
          mapLine(line, row).map { y + $0 } ?? UnsafePointer(strips + 6 * strip)
        }
        let (y0, y1, y2, y3) = (from(0), from(1), from(2), from(3))
        for i in vectors(size) {
          to.set(
            i,
            Winograd.transposedOutputs(y0.vector(i), y1.vector(i), y2.vector(i), y3.vector(i)))
        }
        for row in 0..<6 {
          for tile in 0..<across {
            let from = Six(strips + row * strip + 4 * tile * channels, every: channels)
            let to = Six(m + 6 * row * place + (number * across + tile) * channels, every: place)
            for i in vectors(channels) {
              to.set(
                i,
                Winograd.transposedOutputs(
                  from.a.vector(i), from.b.vector(i), from.c.vector(i), from.d.vector(i)))
            }
          }
        }
      }
    }
  }

  /// Where line `4 i + offset` of the map begins in the batch, i being the place of a line of tiles
  /// in its map; nil outside.
  private func mapLine(_ line: Int, _ offset: Int) -> Int? {
    let (image, i) = line.quotientAndRemainder(dividingBy: down)
    let row = 4 * i + offset
    guard row >= 0, row < map.height else { return nil }
    return (image * map.height + row) * map.width * channels
  }

  /// Refuses arrays that do not belong together.
  ///
  /// - Returns: numbers in a strip, which has room for a border, and in one of the 36 matrices.
  private func check(maps: Int, _ lines: Range<Int>, tiles: Int) -> (strip: Int, place: Int) {
    let place = lines.count * across * channels
    precondition(
      maps.isMultiple(of: map.pixels * channels)
        && lines.lowerBound >= 0 && lines.upperBound * map.pixels * channels <= maps * down
        && tiles == 36 * place, "tiles of other maps")
    return ((4 * across + 2) * channels, place)
  }
}
