/// Codes which rows have a cell in a column, where not all have.
enum PresenceCoder {
  /// `cells[row]` is 1 where the column has a cell; `beside` is the same of the column with gaps before this one.
  ///
  /// - Parameter count: how many rows have a cell, from the header: once all or none of the rest must have one, nothing
  ///   more is coded.
  @inline(__always)
  static func code<Coder: BitCoder>(
    _ shared: inout Coder, model: BitModel, _ cells: UnsafeMutablePointer<UInt8>, beside: UnsafeMutablePointer<UInt8>?,
    rowCount: Int, count: Int
  ) {
    var coder = shared
    var left = count
    var history = 0
    var gap = 0
    for row in 0..<rowCount {
      var isPresent: UInt32
      if left == 0 {
        isPresent = 0
      } else if left == rowCount - row {
        isPresent = 1
      } else {
        let neighbour = beside.map { Int($0[row]) + 1 } ?? 0
        let slots = (
          ValueModel.presenceHistory &+ history, ValueModel.presenceBeside &+ (neighbour &* 16 &+ history & 15),
          ValueModel.presenceGap &+ min(31, gap)
        )
        isPresent = model.mixed(
          &coder, slots, weights: ValueModel.presenceWeights, Coder.isDecoder ? 0 : UInt32(cells[row]))
      }
      if Coder.isDecoder { cells[row] = UInt8(truncatingIfNeeded: isPresent) }
      left &-= Int(isPresent)
      history = (history &<< 1 | Int(isPresent)) & 63
      gap = isPresent != 0 ? 0 : gap &+ 1
    }
    shared = coder
  }
}
