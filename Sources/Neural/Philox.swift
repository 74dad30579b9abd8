/// Philox 4×32-10: four random 32-bit words as a pure function of a counter and a key
/// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, §4.3).
///
/// A draw is addressed, not taken in turn, so it is the same whichever thread asks for it, and
/// wherever a run was resumed.
enum Philox {
  typealias Words = (UInt32, UInt32, UInt32, UInt32)

  @inline(__always) static func words(counter: Words, key: (UInt32, UInt32)) -> Words {
    var (a, b, c, d) = counter
    var (k0, k1) = key
    for _ in 0..<10 {
      let p = UInt64(a) &* 0xD251_1F53
      let q = UInt64(c) &* 0xCD9E_8D57
      a = UInt32(truncatingIfNeeded: q &>> 32) ^ b ^ k0
      b = UInt32(truncatingIfNeeded: q)
      c = UInt32(truncatingIfNeeded: p &>> 32) ^ d ^ k1
      d = UInt32(truncatingIfNeeded: p)
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return (a, b, c, d)
  }
}
