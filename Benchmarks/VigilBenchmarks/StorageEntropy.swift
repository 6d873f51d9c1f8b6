import ChunkCoding
import Glibc
import VitalModel

/// How many bits a sample takes at least, as far as simple statistics can tell.
///
/// Plug-in figures of the measured samples themselves: a yardstick and no bound. A model that knows more goes below them,
/// and orders above the data's size (2 and more for some ten thousand samples) are biased low.
struct StorageEntropy {
  /// Bytes a sample of what follows from the last 0, 1, 2, 3 differences of a column's numbers.
  var values: [Double] = []
  /// Bits a stamp: of the difference, of the difference of differences.
  var stampBits: (delta: Double, second: Double) = (0, 0)
  /// Rows a sample: how many samples share one stamp.
  var stampsPerSample = 0.0

  init(_ groups: [StorageGroup]) {
    var series: [String: [[Int64]]] = [:]
    var samples = 0
    var stamps: [[Int64]] = []
    for group in groups {
      stamps.append(group.times)
      for column in group.columns {
        let numbers = StorageEntropy.numbers(column.values)
        samples += numbers.count
        series["\(column.column.code.index)/\(column.column.source)", default: []].append(numbers)
      }
    }
    for order in 0...3 {
      var bits = 0.0
      var symbols = 0
      for key in series.keys.sorted() {
        let differences = series[key, default: []].flatMap(StorageEntropy.differences)
        guard differences.count > order else { continue }
        bits += StorageEntropy.conditionalBits(differences, order: order)
        symbols += differences.count
      }
      values.append(bits / 8 / Double(max(1, symbols)))
    }
    let deltas = stamps.map(StorageEntropy.differences)
    stampBits.delta = StorageEntropy.bits(ofSymbols: deltas.flatMap { $0 })
    stampBits.second = StorageEntropy.bits(ofSymbols: deltas.flatMap(StorageEntropy.differences))
    stampsPerSample = Double(stamps.reduce(0) { $0 + $1.count }) / Double(max(1, samples))
  }

  /// The present values in units of the column's finest.
  static func numbers(_ values: [DecimalValue]) -> [Int64] {
    let present = values.filter { $0 != StorageColumn.missing }
    let finest = Int(present.map(\.exponent).min() ?? 0)
    return present.compactMap { $0.scaled(toExponent: finest) }
  }

  static func differences(_ numbers: [Int64]) -> [Int64] { zip(numbers.dropFirst(), numbers).map { $0 &- $1 } }

  /// Total bits of the symbols, each given the `order` before it (clipped to -31...31).
  private static func conditionalBits(_ symbols: [Int64], order: Int) -> Double {
    var contexts: [UInt64] = []
    var joints: [UInt64] = []
    for index in order..<symbols.count {
      var context: UInt64 = 0
      for back in 0..<order {
        context = context << 6 | UInt64(min(max(symbols[index - 1 - back], -31), 31) + 31)
      }
      contexts.append(context)
      joints.append(context << 40 | UInt64(bitPattern: min(max(symbols[index], -500_000), 500_000) + 500_000))
    }
    return logSum(counts(contexts)) - logSum(counts(joints))
  }

  private static func counts(_ keys: [UInt64]) -> [Int] {
    var counts: [Int] = []
    var last: UInt64?
    for key in keys.sorted() {
      if key == last { counts[counts.count - 1] += 1 } else { counts.append(1) }
      last = key
    }
    return counts
  }

  private static func logSum(_ counts: [Int]) -> Double { counts.reduce(0) { $0 + Double($1) * log2(Double($1)) } }

  /// Bits a symbol of symbols that occur so often.
  static func bits(of counts: [Int]) -> Double {
    let total = Double(max(1, counts.reduce(0, +)))
    return max(0, log2(total) - logSum(counts.sorted()) / total)
  }

  private static func bits(ofSymbols symbols: [Int64]) -> Double {
    symbols.isEmpty ? 0 : bits(of: counts(symbols.map { UInt64(bitPattern: $0) }))
  }
}
