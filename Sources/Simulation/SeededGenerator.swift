/// Numbers from a seed: xoshiro256** (Blackman and Vigna, 2018), seeded through SplitMix64 (Steele et al., 2014).
///
/// Only integer arithmetic, +, -, x and / are used here, so a seed gives the same bytes on every machine.
package struct SeededGenerator: Sendable {
  private var a: UInt64
  private var b: UInt64
  private var c: UInt64
  private var d: UInt64

  /// Generators of one `seed` and different `stream` numbers are independent of each other.
  package init(seed: UInt64, stream: UInt64 = 0) {
    var state = seed &+ stream &* 0xD1B5_4A32_D192_ED03
    func splitMix() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    a = splitMix()
    b = splitMix()
    c = splitMix()
    d = splitMix()
  }

  /// The next 64 random bits.
  package mutating func next() -> UInt64 {
    let product = b &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let shifted = b << 17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 45) | (d >> 19)
    return result
  }

  /// Uniform in `range`, end excluded.
  package mutating func uniform(_ range: Range<Double>) -> Double {
    let unit = Double(next() >> 11) / 9_007_199_254_740_992
    return range.lowerBound + (range.upperBound - range.lowerBound) * unit
  }

  /// Uniform whole number in `range`; the bias of the remainder is below 2^-50 for the small ranges used here.
  package mutating func integer(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
  }

  /// Mean 0, standard deviation 1, never beyond 3.47: the sum of four uniform numbers (Irwin-Hall). The bound is wanted:
  /// a healthy patient must not reach an alarm limit by one draw in a million.
  package mutating func bell() -> Double {
    let bits = next()
    let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
    return (Double(sum) - 131_070) / 37_837.2
  }

  /// True about once in `interval` calls.
  package mutating func happens(onceIn interval: Double) -> Bool { uniform(0..<interval) < 1 }
}

/// Correlated noise, x(n+1) = a x(n) + e: the wander of a vital sign around its mean.
struct CorrelatedNoise: Sendable {
  private var value = 0.0
  private let memory: Double
  private let step: Double

  /// - Parameters:
  ///   - deviation: standard deviation of the noise itself, in the unit of the vital sign.
  ///   - memory: share kept from one step to the next, 0..<1.
  init(deviation: Double, memory: Double) {
    self.memory = memory
    step = deviation * (1 - memory * memory).squareRoot()
  }

  mutating func next(_ generator: inout SeededGenerator) -> Double {
    value = memory * value + step * generator.bell()
    return value
  }
}

/// Curves built from + - x / alone, because sin() of two C libraries may differ in the last bit.
enum Curve {
  /// sin(2 pi `turns`), error below 4e-6 (Taylor, ninth degree, on a quarter turn).
  static func sine(turns: Double) -> Double {
    var t = turns - turns.rounded(.down)
    var sign = 1.0
    if t >= 0.5 {
      t -= 0.5
      sign = -1
    }
    if t > 0.25 { t = 0.5 - t }
    let x = t * 6.283_185_307_179_586
    let y = x * x
    return sign * x * (1 - y / 6 * (1 - y / 20 * (1 - y / 42 * (1 - y / 72))))
  }

  /// 0 at or before 0, 1 at or after 1, flat at both ends.
  static func smoothStep(_ x: Double) -> Double {
    let t = clamp(x)
    return t * t * (3 - 2 * t)
  }

  static func clamp(_ x: Double) -> Double { x < 0 ? 0 : x > 1 ? 1 : x }

  static func blend(_ from: Double, _ to: Double, _ share: Double) -> Double { from + (to - from) * share }

  /// The whole number nearest to `x`, halves up.
  static func nearest(_ x: Double) -> Int64 { Int64((x + 0.5).rounded(.down)) }
}
