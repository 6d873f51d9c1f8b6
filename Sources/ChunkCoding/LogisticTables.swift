/// The tables of the modelled codec, made by integer arithmetic alone so that every processor makes the same ones.
///
/// Logits are in units of 1/256 within -2047...2047; probabilities are of a 1 bit, in 1/65,536.
final class LogisticTables: @unchecked Sendable {
  // Unchecked: the memory is filled in `init`, only read afterwards, and never freed.

  /// Logit of a probability given by its upper 12 bits: `stretch[p]` is nearest to ln(q / (1 - q)), q = (p + 1/2) / 4096.
  let stretch: UnsafePointer<Int16>
  /// Probability of a logit: `squash[x + 2048]`, 22...65,514.
  let squash: UnsafePointer<UInt16>
  /// How far an adaptive bit moves towards what it met, by how often it was met: 16,384 / (count + 1.6).
  let rate: UnsafePointer<UInt16>

  /// The one instance.
  static let shared = LogisticTables()

  static let logitMax: Int32 = 2047
  static let countMax = 1023

  private init() {
    // e^(-i/256) for 0...2048 in 2^-32, by repeated multiplication with floor(2^62 e^(-1/256)).
    let factor: UInt64 = 4_593_706_758_521_714_574
    var powers = [UInt64](repeating: 0, count: 2049)
    var power: UInt64 = 1 << 62
    for index in powers.indices {
      powers[index] = power >> 30
      power = factor.multipliedFullWidth(by: power).high << 2
    }
    /// 1 / (1 + e^-x) in 2^-31.
    func logistic(_ x: Int) -> UInt64 {
      let upper = (UInt64(1) << 63) / ((1 << 32) + powers[abs(x)])
      return x >= 0 ? upper : (1 << 31) - upper
    }
    let squash = UnsafeMutablePointer<UInt16>.allocate(capacity: 4096)
    for index in 0..<4096 {
      squash[index] = UInt16(min(65_514, max(22, (logistic(index - 2048) + (1 << 14)) >> 15)))
    }
    let stretch = UnsafeMutablePointer<Int16>.allocate(capacity: 4096)
    var x = -Int(LogisticTables.logitMax)
    for index in 0..<4096 {
      let target = UInt64(2 * index + 1) << 18
      while x < Int(LogisticTables.logitMax), logistic(x) + logistic(x + 1) < 2 * target { x += 1 }
      stretch[index] = Int16(x)
    }
    let rate = UnsafeMutablePointer<UInt16>.allocate(capacity: LogisticTables.countMax + 1)
    for count in 0...LogisticTables.countMax { rate[count] = UInt16(163_840 / (10 * count + 16)) }
    self.squash = UnsafePointer(squash)
    self.stretch = UnsafePointer(stretch)
    self.rate = UnsafePointer(rate)
  }
}
