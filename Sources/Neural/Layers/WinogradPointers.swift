/// Channels that Winograd's transforms work on at once.
typealias WinogradVector = SIMD8<Float>

/// Six places at equal distances, so that loops need no arithmetic but that of their index.
struct Six<Pointer: Strideable> where Pointer.Stride == Int {
  let a, b, c, d, e, f: Pointer

  @inline(__always) init(_ first: Pointer, every distance: Int) {
    a = first
    b = first.advanced(by: distance)
    c = first.advanced(by: 2 * distance)
    d = first.advanced(by: 3 * distance)
    e = first.advanced(by: 4 * distance)
    f = first.advanced(by: 5 * distance)
  }
}

extension Six<UnsafePointer<Float>> {
  @inline(__always) func vectors(_ i: Int) -> Winograd.SixVectors {
    (a.vector(i), b.vector(i), c.vector(i), d.vector(i), e.vector(i), f.vector(i))
  }
}

extension Six<UnsafeMutablePointer<Float>> {
  @inline(__always) func vectors(_ i: Int) -> Winograd.SixVectors {
    (a.vector(i), b.vector(i), c.vector(i), d.vector(i), e.vector(i), f.vector(i))
  }

  @inline(__always) func set(_ i: Int, _ v: Winograd.SixVectors) {
    a.set(i, v.0)
    b.set(i, v.1)
    c.set(i, v.2)
    d.set(i, v.3)
    e.set(i, v.4)
    f.set(i, v.5)
  }

  @inline(__always) func clear(_ i: Int) { set(i, (.zero, .zero, .zero, .zero, .zero, .zero)) }

  @inline(__always) func add(_ i: Int, _ v: Winograd.SixVectors) {
    a.add(i, v.0)
    b.add(i, v.1)
    c.add(i, v.2)
    d.add(i, v.3)
    e.add(i, v.4)
    f.add(i, v.5)
  }
}

/// The first index of every vector among `count` numbers.
@inline(__always) func vectors(_ count: Int) -> StrideTo<Int> {
  stride(from: 0, to: count, by: WinogradTiles.together)
}

extension UnsafePointer<Float> {
  @inline(__always) func vector(_ i: Int) -> WinogradVector {
    UnsafeRawPointer(self + i).loadUnaligned(as: WinogradVector.self)
  }
}

extension UnsafeMutablePointer<Float> {
  @inline(__always) func vector(_ i: Int) -> WinogradVector {
    UnsafePointer(self).vector(i)
  }

  @inline(__always) func set(_ i: Int, _ v: WinogradVector) {
    UnsafeMutableRawPointer(self + i).storeBytes(of: v, as: WinogradVector.self)
  }

  @inline(__always) func add(_ i: Int, _ v: WinogradVector) { set(i, vector(i) + v) }
}
