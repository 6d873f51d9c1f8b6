/// How the event times of a chunk are laid on a grid: what the encoder found out about them and the decoder is told.
struct StampFrame: Equatable {
  /// Every distance to the first time is a multiple of `units[unit]` ms; all below is in this unit.
  var unit = 0
  /// Periods from the first stamp to the last.
  private(set) var steps: Int64 = 1
  /// Distance of two grid lines, in 1/256: the span over the steps.
  private(set) var period: Int64 = 256
  /// How fast the grid follows the stamps: its line moves by 2^-`gains[gain]` of each residual.
  var gain = 0

  static let units: [Int64] = [1, 8, 10, 100, 1000, 60_000, 300_000, 3_600_000]
  static let gains = [0, 3, 5, 8]
  /// Wider chunks (34 years) are left to the plain codec.
  static let spanMax: UInt64 = 1 << 40

  var unitLength: Int64 { StampFrame.units[unit] }

  /// - Parameter span: the last stamp, below `spanMax`.
  mutating func setPeriod(span: Int64, steps: Int64) {
    self.steps = max(1, steps)
    period = max(1, (span &<< 8) / self.steps)
  }
}

/// Where the next stamp is expected.
struct StampGrid {
  private let period: Int64
  private let gain: Int64
  /// The last grid line, in 1/256.
  private var line: Int64 = 0
  private var seen: Int64 = 1

  @inline(__always)
  init(_ frame: StampFrame) {
    period = frame.period
    gain = Int64(StampFrame.gains[frame.gain])
  }

  /// Periods from the last grid line to a stamp, at least 0.
  @inline(__always)
  func steps(to stamp: Int64) -> Int64 {
    let distance = (stamp &<< 8) &- line
    if distance < 0 { return 0 }
    let half = period &>> 1
    // One step as a rule: no division then.
    if distance >= period &- half, distance < period &+ half { return 1 }
    return (distance &+ half) / period
  }

  /// The stamp on the grid line that many periods on.
  @inline(__always)
  func stamp(after steps: Int64) -> Int64 { (line &+ steps &* period &+ 128) &>> 8 }

  /// Moves on to that grid line and then towards the stamp that was there.
  @inline(__always)
  mutating func move(_ steps: Int64, to stamp: Int64) {
    let next = line &+ steps &* period
    let error = (stamp &<< 8) &- next
    seen &+= 1
    // The first stamps count fully, the nth by 1/n, until the gain is reached.
    let settled = Int64(63 &- seen.leadingZeroBitCount)
    line = next &+ (error &>> min(gain, settled))
  }
}

/// Codes the stamps of a chunk.
enum StampCoder {
  /// `stamps` in units from the first, which is 0. Codes those from the second on, `count` of them.
  @inline(__always)
  static func code<Coder: BitCoder>(
    _ shared: inout Coder, model: BitModel, frame: StampFrame, _ stamps: UnsafeMutablePointer<Int64>, count: Int
  ) {
    var coder = shared
    var grid = StampGrid(frame)
    var residuals = ResidualCoder(model: model)
    var context = 0
    var index = 1
    while index <= count {
      var steps: Int64 = Coder.isDecoder ? 0 : grid.steps(to: stamps[index])
      let isNext = model.single(&coder, StampModel.step &+ context, (steps == 1).bit) != 0
      if isNext {
        steps = 1
      } else {
        // 0 stays 0; from 2 on, one less.
        let number = model.number(
          &coder, lengths: StampModel.stepLengths, bits: StampModel.stepBits,
          UInt64(bitPattern: steps == 0 ? 0 : steps &- 1))
        steps = number == 0 ? 0 : Int64(bitPattern: number) &+ 1
      }
      context = ((context &<< 1) & 2) | (isNext ? 0 : 1)
      let expected = grid.stamp(after: steps)
      let residual = residuals.code(&coder, Coder.isDecoder ? 0 : stamps[index] &- expected)
      if Coder.isDecoder { stamps[index] = expected &+ residual }
      grid.move(steps, to: stamps[index])
      index &+= 1
    }
    shared = coder
  }
}
