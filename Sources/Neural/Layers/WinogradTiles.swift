/// The transforms of Winograd's F(2×2, 3×3) (Lavin & Gray 2016, arXiv 1509.09308, §4.1) between
/// NHWC maps and matrices of tiles, and their transposes, of which derivatives are made.
///
/// A map is covered by tiles of 2×2 outputs, each of which depends on 4×4 inputs. The matrix of the
/// tiles is a stack of 16 matrices `[tiles, channels]`, one for each place of the 4×4. Outside of
/// the map everything is zero.
///
/// Pointers, because compilers do not vectorise loops over so many streams. They stay in this file;
/// what they point at is checked before they are made.
struct WinogradTiles: Sendable {
  let map: MapShape
  /// A multiple of ``lanes``.
  let channels: Int

  /// Channels that are worked on at once.
  static let lanes = 8

  /// Tiles side by side, and lines of them in one map.
  var across: Int { (map.width + 1) / 2 }
  var down: Int { (map.height + 1) / 2 }

  /// `V = Bᵀ d B`: the 4×4 inputs of every tile.
  ///
  /// - Parameters:
  ///   - x: maps, `[batch·height·width, channels]`
  ///   - lines: of tiles, counted through all maps.
  ///   - v: `[16·tiles, channels]`
  func gather(_ x: [Float], _ lines: Range<Int>, into v: inout [Float]) {
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: x.count, lines, tiles: v.count)
    // Bᵀ d of a line of tiles, beside a border of one pixel; and a line of zeros.
    var strips = [Float](repeating: 0, count: 4 * strip + size)
    withPointers(x, &strips, &v) { x, strips, v in
      for (number, line) in lines.enumerated() {
        @inline(__always) func d(_ row: Int) -> UnsafePointer<Float> {
          mapLine(line, row - 1).map { x + $0 } ?? UnsafePointer(strips + 4 * strip)
        }
        let (d0, d1, d2, d3) = (d(0), d(1), d(2), d(3))
        let to = Four(strips + channels, every: strip)
        for i in vectors(size) {
          let (a, b, c, d) = (d0.vector(i), d1.vector(i), d2.vector(i), d3.vector(i))
          to.a.set(i, a - c)
          to.b.set(i, b + c)
          to.c.set(i, c - b)
          to.d.set(i, b - d)
        }
        for row in 0..<4 {
          for tile in 0..<across {
            let from = Four(strips + row * strip + 2 * tile * channels, every: channels)
            let to = Four(
              v + 4 * row * place + (number * across + tile) * channels, every: place)
            for i in vectors(channels) {
              let (b, c) = (from.b.vector(i), from.c.vector(i))
              to.a.set(i, from.a.vector(i) - c)
              to.b.set(i, b + c)
              to.c.set(i, c - b)
              to.d.set(i, b - from.d.vector(i))
            }
          }
        }
      }
    }
  }

  /// Adds `B V Bᵀ` to the maps: the transpose of ``gather(_:_:into:)``.
  func scatter(_ v: [Float], _ lines: Range<Int>, to x: inout [Float]) {
    let (across, channels, size) = (across, channels, map.width * channels)
    let (strip, place) = check(maps: x.count, lines, tiles: v.count)
    var strips = [Float](repeating: 0, count: 4 * strip)
    withPointers(v, &strips, &x) { v, strips, x in
      for (number, line) in lines.enumerated() {
        strips.update(repeating: 0, count: 4 * strip)
        for row in 0..<4 {
          for tile in 0..<across {
            let from = Four(
              v + 4 * row * place + (number * across + tile) * channels, every: place)
            let to = Four(strips + row * strip + 2 * tile * channels, every: channels)
            for i in vectors(channels) {
              let (a, b) = (from.a.vector(i), from.b.vector(i))
              let (c, d) = (from.c.vector(i), from.d.vector(i))
              to.a.add(i, a)
              to.b.add(i, b - c + d)
              to.c.add(i, b + c - a)
              to.d.set(i, -d)
            }
          }
        }
        let from = Four(strips + channels, every: strip)
        func to(_ row: Int) -> UnsafeMutablePointer<Float>? {
          mapLine(line, row - 1).map { x + $0 }
        }
        if let to = to(0) { for i in vectors(size) { to.add(i, from.a.vector(i)) } }
        if let to = to(1) {
          for i in vectors(size) {
            to.add(i, from.b.vector(i) - from.c.vector(i) + from.d.vector(i))
          }
        }
        if let to = to(2) {
          for i in vectors(size) {
            to.add(i, from.b.vector(i) + from.c.vector(i) - from.a.vector(i))
          }
        }
        if let to = to(3) { for i in vectors(size) { to.add(i, -from.d.vector(i)) } }
      }
    }
  }

  /// `Aᵀ M A + bias`: the 2×2 outputs of every tile.
  ///
  /// - Parameters:
  ///   - m: `[16·tiles, channels]`
  ///   - bias: one number for every channel.
  ///   - y: maps, `[batch·height·width, channels]`
  func assemble(_ m: [Float], plus bias: [Float], _ lines: Range<Int>, into y: inout [Float]) {
    let (across, channels) = (across, channels)
    let (_, place) = check(maps: y.count, lines, tiles: m.count)
    precondition(bias.count == channels, "\(bias.count) biases of \(channels) channels")
    // The bias, and a place for outputs outside of the map.
    var extra = bias + [Float](repeating: 0, count: channels)
    withPointers(m, &extra, &y) { m, extra, y in
      for (number, line) in lines.enumerated() {
        for tile in 0..<across {
          let from = m + (number * across + tile) * channels
          let corner = corners(line, tile)
          @inline(__always) func output(_ i: Int) -> UnsafeMutablePointer<Float> {
            corner[i] < 0 ? extra + channels : y + corner[i]
          }
          let (y00, y01, y10, y11) = (output(0), output(1), output(2), output(3))
          let bias = UnsafePointer(extra)
          let rows = (
            Four(from, every: place), Four(from + 4 * place, every: place),
            Four(from + 8 * place, every: place), Four(from + 12 * place, every: place)
          )
          for i in vectors(channels) {
            // A row of M A, two numbers.
            @inline(__always) func half(_ row: Four<UnsafePointer<Float>>) -> (Vector, Vector) {
              let (b, c) = (row.b.vector(i), row.c.vector(i))
              return (row.a.vector(i) + b + c, b - c - row.d.vector(i))
            }
            let (a, b, c, d) = (half(rows.0), half(rows.1), half(rows.2), half(rows.3))
            let bias = bias.vector(i)
            y00.set(i, a.0 + b.0 + c.0 + bias)
            y01.set(i, a.1 + b.1 + c.1 + bias)
            y10.set(i, b.0 - c.0 - d.0 + bias)
            y11.set(i, b.1 - c.1 - d.1 + bias)
          }
        }
      }
    }
  }

  /// `M = A y Aᵀ`: the transpose of ``assemble(_:plus:_:into:)`` without its bias.
  func spread(_ y: [Float], _ lines: Range<Int>, into m: inout [Float]) {
    let (across, channels) = (across, channels)
    let (_, place) = check(maps: y.count, lines, tiles: m.count)
    var zeros = [Float](repeating: 0, count: channels)
    withPointers(y, &zeros, &m) { y, zeros, m in
      let zeros = UnsafePointer(zeros)
      for (number, line) in lines.enumerated() {
        for tile in 0..<across {
          let to = m + (number * across + tile) * channels
          let corner = corners(line, tile)
          @inline(__always) func output(_ i: Int) -> UnsafePointer<Float> {
            corner[i] < 0 ? zeros : y + corner[i]
          }
          let (y00, y01, y10, y11) = (output(0), output(1), output(2), output(3))
          let rows = (
            Four(to, every: place), Four(to + 4 * place, every: place),
            Four(to + 8 * place, every: place), Four(to + 12 * place, every: place)
          )
          for i in vectors(channels) {
            let (a, b, c, d) = (y00.vector(i), y01.vector(i), y10.vector(i), y11.vector(i))
            @inline(__always) func set(
              _ row: Four<UnsafeMutablePointer<Float>>, _ a: Vector, _ b: Vector
            ) {
              row.a.set(i, a)
              row.b.set(i, a + b)
              row.c.set(i, a - b)
              row.d.set(i, -b)
            }
            set(rows.0, a, b)
            set(rows.1, a + c, b + d)
            set(rows.2, a - c, b - d)
            set(rows.3, -c, -d)
          }
        }
      }
    }
  }

  /// Where line `2 i + offset` of the map begins in the batch, i being the place of a line of tiles
  /// in its map; nil outside.
  private func mapLine(_ line: Int, _ offset: Int) -> Int? {
    let (image, i) = line.quotientAndRemainder(dividingBy: down)
    let row = 2 * i + offset
    guard row >= 0, row < map.height else { return nil }
    return (image * map.height + row) * map.width * channels
  }

  /// Where a tile's four outputs are in the batch, line by line; -1 for those outside of the map.
  private func corners(_ line: Int, _ tile: Int) -> SIMD4<Int> {
    let (upper, lower, left) = (mapLine(line, 0), mapLine(line, 1), 2 * tile * channels)
    let hasRight = 2 * tile + 1 < map.width
    func corner(_ line: Int?, _ isThere: Bool, _ offset: Int) -> Int {
      guard let line, isThere else { return -1 }
      return line + offset
    }
    return SIMD4(
      corner(upper, true, left), corner(upper, hasRight, left + channels),
      corner(lower, true, left), corner(lower, hasRight, left + channels))
  }

  /// Refuses arrays that do not belong together.
  ///
  /// - Returns: numbers in a line of tiles' inputs, and in one of the 16 matrices of tiles.
  private func check(maps: Int, _ lines: Range<Int>, tiles: Int) -> (strip: Int, place: Int) {
    let place = lines.count * across * channels
    precondition(
      channels.isMultiple(of: Self.lanes) && maps.isMultiple(of: map.pixels * channels)
        && lines.lowerBound >= 0 && lines.upperBound * map.pixels * channels <= maps * down
        && tiles == 16 * place, "tiles of other maps")
    return ((2 * across + 2) * channels, place)
  }
}

private typealias Vector = SIMD8<Float>

/// Four places at equal distances, so that loops need no arithmetic but that of their index.
private struct Four<Pointer: Strideable> where Pointer.Stride == Int {
  let a, b, c, d: Pointer

  @inline(__always) init(_ first: Pointer, every distance: Int) {
    a = first
    b = first.advanced(by: distance)
    c = first.advanced(by: 2 * distance)
    d = first.advanced(by: 3 * distance)
  }
}

/// The first index of every vector among `count` numbers.
@inline(__always) private func vectors(_ count: Int) -> StrideTo<Int> {
  stride(from: 0, to: count, by: WinogradTiles.lanes)
}

extension UnsafePointer<Float> {
  @inline(__always) fileprivate func vector(_ i: Int) -> Vector {
    UnsafeRawPointer(self + i).loadUnaligned(as: Vector.self)
  }
}

extension UnsafeMutablePointer<Float> {
  @inline(__always) fileprivate func vector(_ i: Int) -> Vector { UnsafePointer(self).vector(i) }

  @inline(__always) fileprivate func set(_ i: Int, _ v: Vector) {
    UnsafeMutableRawPointer(self + i).storeBytes(of: v, as: Vector.self)
  }

  @inline(__always) fileprivate func add(_ i: Int, _ v: Vector) { set(i, vector(i) + v) }
}

/// Pointers to an array that is read and two that are written.
private func withPointers(
  _ a: [Float], _ b: inout [Float], _ c: inout [Float],
  _ body: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
) {
  a.withUnsafeBufferPointer { a in
    b.withUnsafeMutableBufferPointer { b in
      c.withUnsafeMutableBufferPointer { c in
        guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
        body(a, b, c)
      }
    }
  }
}
