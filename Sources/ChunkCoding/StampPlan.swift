/// What an encoder finds out about the stamps of a chunk.
enum StampPlan {
  /// Fills `stamps` with the times in units from the first.
  ///
  /// - Returns: nil where the times span too long for the grid's arithmetic.
  static func make(_ times: [Int64], _ stamps: UnsafeMutablePointer<Int64>) -> StampFrame? {
    let first = times[0]
    let span = UInt64(bitPattern: times[times.count - 1] &- first)
    guard span < StampFrame.spanMax else { return nil }
    var frame = StampFrame()
    frame.unit = unit(times)
    let length = frame.unitLength
    times.withUnsafeBufferPointer { times in
      if length == 1 {
        for index in 0..<times.count { stamps[index] = times[index] &- first }
      } else {
        for index in 0..<times.count { stamps[index] = (times[index] &- first) / length }
      }
    }
    choosePeriod(&frame, stamps, count: times.count)
    chooseGain(&frame, stamps, count: times.count)
    return frame
  }

  /// The longest unit that divides every distance to the first time.
  private static func unit(_ times: [Int64]) -> Int {
    var divisor: Int64 = 0
    for time in times {
      var rest = time &- times[0]
      if divisor != 0, rest % divisor == 0 { continue }
      while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
      if divisor == 1 { return 0 }
    }
    guard divisor > 0 else { return 0 }
    return StampFrame.units.indices.last { divisor % StampFrame.units[$0] == 0 } ?? 0
  }

  /// How many periods the chunk spans, taking each step for the nearest number of usual ones.
  private static func choosePeriod(_ frame: inout StampFrame, _ stamps: UnsafeMutablePointer<Int64>, count: Int) {
    var steps = (1..<max(1, min(count, 102))).map { stamps[$0] &- stamps[$0 - 1] }
    steps.sort()
    let usual = steps.isEmpty ? 1 : max(1, steps[steps.count / 2])
    var total: Int64 = 0
    for index in 1..<max(1, count) {
      let step = stamps[index] &- stamps[index - 1]
      // No division for the usual ones.
      total &+= step &<< 1 >= usual && step &<< 1 < 3 &* usual ? 1 : (step &+ usual &>> 1) / usual
    }
    frame.setPeriod(span: stamps[count - 1], steps: max(1, total))
  }

  /// The gain with the least bits in the residuals.
  private static func chooseGain(_ frame: inout StampFrame, _ stamps: UnsafeMutablePointer<Int64>, count: Int) {
    var best = Int.max
    var choice = 0
    for gain in StampFrame.gains.indices {
      frame.gain = gain
      var grid = StampGrid(frame)
      var bits = 0
      for index in 1..<max(1, min(count, 256)) {
        let steps = grid.steps(to: stamps[index])
        let residual = stamps[index] &- grid.stamp(after: steps)
        bits &+= cost(residual.magnitude)
        grid.move(steps, to: stamps[index])
      }
      if bits < best { (best, choice) = (bits, gain) }
    }
    frame.gain = choice
  }

  /// About log2(1 + magnitude), in 1/8.
  @inline(__always)
  private static func cost(_ magnitude: UInt64) -> Int {
    let number = (magnitude &+ 1) &<< 3
    let width = 63 &- number.leadingZeroBitCount
    return width &* 8 &+ Int(truncatingIfNeeded: number &>> UInt64(width &- 3)) & 7
  }
}
