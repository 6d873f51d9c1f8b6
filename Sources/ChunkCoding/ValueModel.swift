/// Where things lie in the words of a value model: seven tables of slots, one for each context, and what goes with them.
///
/// A *node* is a decision about one difference d from what was predicted: 0: is there one; 1: is it negative; 2...11: is
/// |d| greater than 1...10. Beyond that an Elias gamma number follows.
enum ValueModel {
  static let nodes = 12

  /// The last three differences.
  static let recent = 0
  static let recentCount = 7 * 5 * 3
  /// Cells since the value last changed, and which way and how far it then went.
  static let still = recent + recentCount * nodes
  static let stillCount = 10 * 2 * 2
  /// Distance to the slow mean, and the last difference's sign.
  static let mean = still + stillCount * nodes
  static let meanCount = 13 * 3
  /// How much the value moves of late, and the last difference's sign.
  static let motion = mean + meanCount * nodes
  static let motionCount = 8 * 3
  /// Distance to the column's smallest and largest value, and the last difference's sign.
  static let range = motion + motionCount * nodes
  static let rangeCount = 5 * 5 * 3
  /// How long the value stood before it last changed, how long since, and which way it went.
  static let rhythm = range + rangeCount * nodes
  static let rhythmCount = 10 * 10 * 2
  /// The value itself, its lower 7 bits; nodes from 3 on share a slot.
  static let level = rhythm + rhythmCount * nodes
  static let levelNodes = 4
  static let levelCount = 128

  /// The column's first value where the header does not give it: lengths, bits.
  static let firstLengths = level + levelCount * levelNodes
  static let firstBits = firstLengths + 32
  /// Differences beyond the nodes: lengths by how large differences are of late, bits.
  static let wideLengths = firstBits + 32 * 8
  static let wideClasses = 16
  static let wideBits = wideLengths + wideClasses * 32
  /// Whether a divisor, whether a predictor, which predictor; from the eighth on, which divisor.
  static let plan = wideBits + 32 * 8
  /// Whether a row has a cell: by the last rows, by the columns before, by rows since the last cell.
  static let presenceHistory = plan + 16
  static let presenceBeside = presenceHistory + 64
  static let presenceGap = presenceBeside + 64
  static let slotCount = presenceGap + 32

  /// Mixing weights: eight for each node and length of standstill; four for presence.
  static let weights = slotCount
  static let weightSets = nodes * 3
  static let presenceWeights = weights + weightSets * 8
  static let wordCount = presenceWeights + 4

  /// An untrained model.
  static let fresh: [UInt32] = {
    var words = [UInt32](repeating: BitModel.freshSlot, count: wordCount)
    for index in 0..<(weightSets * 8) { words[weights + index] = index % 8 == 7 ? 0 : 18_000 }
    for index in 0..<4 { words[presenceWeights + index] = index == 3 ? 0 : 28_000 }
    return words
  }()
}

/// How a column's next value is guessed from the two before it.
enum Predictor: Int, CaseIterable {
  /// As the last.
  case hold
  /// The last and half its step.
  case halfTrend
  /// The last and its step.
  case trend

  @inline(__always)
  func step(_ trend: Int64) -> Int64 {
    switch self {
    case .hold: 0
    case .halfTrend: trend / 2
    case .trend: trend
    }
  }
}

/// What is known of a column's numbers before they are coded; all in units of the divisor.
struct ColumnFrame {
  var predictor = Predictor.hold
  /// Whether `low` and `high` are known: then every number lies within them, and neither is beyond ±2^60, so that no
  /// guess, difference or distance can wrap.
  var isBounded = false
  var low: Int64 = 0
  var high: Int64 = 0

  static let boundMax: Int64 = 1 << 60
}

/// Codes the numbers of one column. Every step is defined for every number: sums and differences wrap at 64 bits.
struct ValueCoder {
  private let model: BitModel
  private let frame: ColumnFrame

  // What the contexts are made of.
  private var last: Int64
  private var trend: Int64 = 0
  private var d1: Int64 = 0
  private var d2: Int64 = 0
  private var d3: Int64 = 0
  /// Slow mean, in 1/256.
  private var mean: Int64
  /// Mean |d| of late, in 1/256, each counted at 60 at most.
  private var motion = 0
  /// Mean bit width of |d| of late, in 1/64.
  private var width = 0
  private var run = 0
  private var runBefore = 0
  private var turn = 0
  private var leap = 0

  @inline(__always)
  init(model: BitModel, frame: ColumnFrame, first: Int64) {
    self.model = model
    self.frame = frame
    last = first
    mean = first &<< 8
  }

  /// Codes the next `count` values: reads them when encoding, writes them when decoding.
  @inline(__always)
  static func code<Coder: BitCoder>(
    _ shared: inout Coder, model: BitModel, frame: ColumnFrame, first: Int64, _ values: UnsafeMutablePointer<Int64>,
    count: Int
  ) {
    // Copies on the stack, which the optimizer keeps in registers.
    var coder = shared
    var state = ValueCoder(model: model, frame: frame, first: first)
    for index in 0..<count {
      let value = state.next(&coder, Coder.isDecoder ? 0 : values[index])
      if Coder.isDecoder { values[index] = value }
    }
    shared = coder
  }

  @inline(__always)
  private mutating func next<Coder: BitCoder>(_ coder: inout Coder, _ value: Int64) -> Int64 {
    let guess = last &+ frame.predictor.step(trend)
    let difference = code(&coder, guess: guess, Coder.isDecoder ? 0 : value &- guess)
    let found = guess &+ difference
    learn(found, difference)
    return found
  }

  @inline(__always)
  private func code<Coder: BitCoder>(_ coder: inout Coder, guess: Int64, _ difference: Int64) -> Int64 {
    let sign = clamp(d1, 1)
    let recent =
      ValueModel.recent
      &+ ((clamp(d1, 3) &+ 3) &* 15 &+ (clamp(d2, 2) &+ 2) &* 3 &+ clamp(d3, 1) &+ 1) &* ValueModel.nodes
    let still = ValueModel.still &+ ((run &* 2 &+ turn) &* 2 &+ leap) &* ValueModel.nodes
    let fromMean = clamp(guess &- ((mean &+ 128) &>> 8), 6) &+ 6
    let mean = ValueModel.mean &+ (fromMean &* 3 &+ sign &+ 1) &* ValueModel.nodes
    let motion = ValueModel.motion &+ (motionClass &* 3 &+ sign &+ 1) &* ValueModel.nodes
    let below = clamp(guess &- frame.low, 2) &+ 2
    let above = clamp(frame.high &- guess, 2) &+ 2
    let range = ValueModel.range &+ ((below &* 5 &+ above) &* 3 &+ sign &+ 1) &* ValueModel.nodes
    let rhythm = ValueModel.rhythm &+ ((runBefore &* 10 &+ run) &* 2 &+ turn) &* ValueModel.nodes
    let level = ValueModel.level &+ Int(truncatingIfNeeded: guess & 127) &* ValueModel.levelNodes
    let weights = ValueModel.weights &+ (run < 1 ? 0 : run < 5 ? 1 : 2) &* ValueModel.nodes &* 8
    let contexts = BitModel.Contexts(
      slots: (recent, still, mean, motion, range, rhythm, level), weights: weights)

    // What the range rules out is not coded.
    let canFall = guess > frame.low || !frame.isBounded
    let canRise = guess < frame.high || !frame.isBounded
    let canStay = (guess >= frame.low && guess <= frame.high) || !frame.isBounded
    if canStay, !(canFall || canRise) || model.mixed(&coder, contexts, 0, (difference != 0).bit) == 0 { return 0 }
    let falls = canFall && canRise ? model.mixed(&coder, contexts, 1, (difference < 0).bit) != 0 : canFall
    let distance = UInt64(bitPattern: falls ? guess &- frame.low : frame.high &- guess)
    let room = frame.isBounded ? distance : .max
    let magnitude = difference.magnitude
    var found: UInt64 = 1
    while found < 11 {
      if found == room { break }
      if model.mixed(&coder, contexts, Int(truncatingIfNeeded: found) &+ 1, (magnitude > found).bit) == 0 { break }
      found &+= 1
    }
    if found == 11 {
      let lengths = ValueModel.wideLengths &+ min(width &>> 5, ValueModel.wideClasses &- 1) &* 32
      found =
        found
        &+ model.number(
          &coder, lengths: lengths, bits: ValueModel.wideBits, Coder.isDecoder ? 0 : magnitude &- 11)
    }
    let signed = Int64(bitPattern: found)
    return falls ? 0 &- signed : signed
  }

  @inline(__always)
  private mutating func learn(_ value: Int64, _ difference: Int64) {
    trend = value &- last
    last = value
    d3 = d2
    d2 = d1
    d1 = difference
    mean = mean &+ (((value &<< 8) &- mean) &>> 4)
    let magnitude = difference.magnitude
    motion = motion &+ ((Int(min(magnitude, 60)) &<< 8 &- motion &+ 8) &>> 4)
    width = width &+ (((64 &- magnitude.leadingZeroBitCount) &<< 6 &- width) &>> 3)
    if difference == 0 {
      stillCells = stillCells &+ (stillCells < 81 ? 1 : 0)
      run = ValueCoder.runClass(stillCells)
    } else {
      runBefore = run
      stillCells = 0
      run = 0
      turn = difference < 0 ? 1 : 0
      leap = magnitude > 1 ? 1 : 0
    }
  }

  private var stillCells = 0

  /// 0, 1, 2, 3, 4-5, 6-9, 10-15, 16-31, 32-80, 81 and more.
  @inline(__always)
  private static func runClass(_ cells: Int) -> Int {
    if cells < 4 { return cells }
    if cells < 10 { return cells < 6 ? 4 : 5 }
    if cells < 32 { return cells < 16 ? 6 : 7 }
    return cells < 81 ? 8 : 9
  }

  @inline(__always)
  private var motionClass: Int {
    min(7, Int.bitWidth &- (motion &>> 6).leadingZeroBitCount)
  }

  /// -limit...limit.
  @inline(__always)
  private func clamp(_ value: Int64, _ limit: Int64) -> Int {
    Int(truncatingIfNeeded: min(limit, max(0 &- limit, value)))
  }
}
