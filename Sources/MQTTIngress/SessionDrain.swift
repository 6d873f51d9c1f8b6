/// Whether what arrives was queued by the broker while we were away. Pure: told what the connection saw.
///
/// MQTT marks no message as queued, so this watches the socket: a resumed session begins with its backlog, and the
/// backlog has ended once the broker has answered our SUBSCRIBE (it sends queued messages before that) and the line then
/// falls quiet, or `steadyBatches` small batches in a row emptied it (live traffic that never pauses). Ending too late marks
/// a fresh timeless message as uncertain; ending too early would let an old one pass for fresh: it leans to the former.
struct SessionDrain {
  /// How long nothing may arrive before the backlog counts as read.
  static let quietMilliseconds: Int32 = 20
  /// A backlog fills the socket; live traffic comes in batches below this.
  static let smallBatch = 64
  /// So many small batches in a row are live traffic.
  static let steadyBatches = 50

  /// Whether messages with QoS above 0 count as queued.
  private(set) var isActive = false
  private var subscribed = false
  private var smallBatches = 0

  /// The broker accepted us, with or without an earlier session.
  mutating func accepted(sessionPresent: Bool) {
    isActive = sessionPresent
    subscribed = false
    smallBatches = 0
  }

  /// The broker answered SUBSCRIBE.
  mutating func subscribeAnswered() { subscribed = true }

  /// `messages` were read and nothing more was waiting.
  mutating func emptied(afterReading messages: Int) {
    guard isActive, subscribed, messages > 0 else { return }
    smallBatches = messages < Self.smallBatch ? smallBatches + 1 : 0
    if smallBatches >= Self.steadyBatches { isActive = false }
  }

  /// Nothing arrived for `quietMilliseconds`.
  mutating func fellQuiet() {
    if subscribed { isActive = false }
  }
}
