// A CUDA device without CUDA, for the CPU build of torch.
//
// Why: most of what goes wrong on a GPU is no matter of its arithmetic. Data lie on the wrong device,
// "cuda" is taken for another device than "cuda:0", a generator of the CPU draws for a tensor of the
// device, a file names a device that is not there. Tests of that need a device that torch takes for
// CUDA and that refuses what CUDA refuses; they need no GPU.
//
// How: tensors are made with the dispatch key CUDA and a device of type CUDA, but their memory is the
// host's. One fallback kernel, for all operations of that key, checks that the arguments lie together,
// hands the operation to the CPU's kernel on the same memory, and gives the results the device back.
// Only what makes, views or copies tensors is written out, as the CPU's kernels would make their own.
//
// What is not simulated: speed, limits of memory, cuDNN, fused attention, Triton, the rounding and the
// order of sums of CUDA's kernels, and errors that arrive later than the call that made them.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using Names = std::unordered_set<std::string>;
template <class T> using Maybe = std::optional<T>;

namespace {

// How many devices there are: two, or what the environment says.
const DeviceIndex N_DEVICES = [] {
  const char* said = std::getenv("SIMULATED_CUDA_DEVICES");
  return static_cast<DeviceIndex>(said ? std::atoi(said) : 2);
}();
thread_local DeviceIndex current = 0;

std::atomic<int64_t> n_waits{0};         // of the host for the device
std::atomic<int64_t> n_global_draws{0};  // random operations that were given no generator

// A seed means other numbers than on the CPU, as on a real device.
constexpr uint64_t SALT = 0x5eed;

Device complete(Device d) { return d.has_index() ? d : Device(DeviceType::CUDA, current); }

void check_ordinal(DeviceIndex i) {
  TORCH_CHECK(i < N_DEVICES, "CUDA error: invalid device ordinal");
}

// ---- Memory: the host's, counted.

std::mutex lock;
std::unordered_map<void*, size_t> sizes;  // of what lies on the devices
std::unordered_set<const void*> pinned;
size_t held = 0, peak = 0;

void* host_memory(size_t n) {
  void* p = nullptr;
  if (posix_memalign(&p, 64, std::max<size_t>(n, 1))) throw std::bad_alloc();
  return p;
}

void release(void* p) {
  std::lock_guard<std::mutex> guard(lock);
  held -= sizes[p];
  sizes.erase(p);
  std::free(p);
}

void release_nothing(void*) {}

struct DeviceMemory final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    Device here(DeviceType::CUDA, current);
    if (n == 0) return {nullptr, nullptr, &release_nothing, here};
    void* p = host_memory(n);
    std::lock_guard<std::mutex> guard(lock);
    sizes[p] = n;
    held += n;
    peak = std::max(peak, held);
    return {p, p, &release, here};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t n) const override { std::memcpy(to, from, n); }
} device_memory;

void release_pinned(void* p) {
  std::lock_guard<std::mutex> guard(lock);
  pinned.erase(p);
  std::free(p);
}

struct PinnedMemory final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    void* p = host_memory(n);
    std::lock_guard<std::mutex> guard(lock);
    pinned.insert(p);
    return {p, p, &release_pinned, Device(DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_pinned; }
  void copy_data(void* to, const void* from, size_t n) const override { std::memcpy(to, from, n); }
} pinned_memory;

bool is_pinned(const void* p) {
  std::lock_guard<std::mutex> guard(lock);
  return pinned.count(p) > 0;
}

// ---- Streams and events: all work is done when a call returns, so there is one stream.

struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return DeviceType::CUDA; }
  Device exchangeDevice(Device d) const override {
    Device before = getDevice();
    setDevice(d);
    return before;
  }
  Device getDevice() const override { return Device(DeviceType::CUDA, current); }
  void setDevice(Device d) const override {
    check_ordinal(d.index());
    uncheckedSetDevice(d);
  }
  void uncheckedSetDevice(Device d) const noexcept override {
    if (d.has_index()) current = d.index();
  }
  c10::Stream getStream(Device d) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, complete(d));
  }
  c10::Stream getDefaultStream(Device d) const override { return getStream(d); }
  c10::Stream getStreamFromGlobalPool(Device d, bool) const override { return getStream(d); }
  c10::Stream getNewStream(Device d, int) const override { return getStream(d); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override { return getStream(s.device()); }
  DeviceIndex deviceCount() const noexcept override { return N_DEVICES; }
  void record(void**, const c10::Stream&, const DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const DeviceIndex) const override {}
};

// ---- Generators: one of the CPU inside, under the name of a device.

struct Generator final : c10::GeneratorImpl {
  at::Generator inner = at::detail::createCPUGenerator();
  uint64_t shown = c10::default_rng_seed_val;

  explicit Generator(DeviceIndex i)
      : GeneratorImpl(Device(DeviceType::CUDA, i), c10::DispatchKeySet(c10::DispatchKey::CUDA)) {}
  void set_current_seed(uint64_t seed) override {
    shown = seed;
    inner.set_current_seed(seed ^ SALT);
  }
  uint64_t current_seed() const override { return shown; }
  uint64_t seed() override { return shown = inner.seed(); }
  void set_offset(uint64_t) override {}
  uint64_t get_offset() const override { return 0; }
  void set_state(const c10::TensorImpl& state) override { bare()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return bare()->get_state(); }
  Generator* clone_impl() const override {
    auto* copy = new Generator(device().index());
    copy->inner = inner.clone();
    copy->shown = shown;
    return copy;
  }

 private:
  c10::GeneratorImpl* bare() const { return inner.unsafeGetGeneratorImpl(); }
};

const at::Generator& global_generator(DeviceIndex i) {
  static std::vector<at::Generator> all = [] {
    std::vector<at::Generator> made;
    for (DeviceIndex n = 0; n < N_DEVICES; ++n) made.push_back(at::make_generator<Generator>(n));
    return made;
  }();
  return all.at(i < 0 ? current : i);
}

}  // namespace

// ---- What torch asks of "CUDA" by name. Registered where torch looks for it.

namespace at {

struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasCUDART() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return N_DEVICES; }
  DeviceIndex deviceCount() const override { return N_DEVICES; }
  DeviceIndex current_device() const override { return current; }
  DeviceIndex getCurrentDevice() const override { return current; }
  void setCurrentDevice(DeviceIndex d) const override { current = d; }
  DeviceIndex exchangeDevice(DeviceIndex d) const override { return std::exchange(current, d); }
  DeviceIndex maybeExchangeDevice(DeviceIndex d) const override {
    return d < 0 ? current : std::exchange(current, d);
  }
  bool isPinnedPtr(const void* p) const override { return is_pinned(p); }
  Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory; }
  Allocator* getCUDADeviceAllocator() const override { return &device_memory; }
  Device getDeviceFromPtr(void*) const override { return complete(DeviceType::CUDA); }
  const at::Generator& getDefaultGenerator(DeviceIndex i = -1) const override {
    return global_generator(i);
  }
  at::Generator getNewGenerator(DeviceIndex i = -1) const override {
    const DeviceIndex there = i < 0 ? current : i;
    check_ordinal(there);
    return at::make_generator<::Generator>(there);
  }
  void deviceSynchronize(DeviceIndex) const override {}
};

using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks);

}  // namespace at

namespace {

// ---- One tensor, seen as of the CPU and as of a device.

// The same memory as a tensor of the CPU.
Tensor as_host(const Tensor& t) {
  auto options = at::TensorOptions().dtype(t.scalar_type()).device(at::kCPU);
  if (t.numel() == 0) return at::empty_strided(t.sizes(), t.strides(), options);
  void* p = const_cast<void*>(t.const_data_ptr());
  return at::for_blob(p, t.sizes()).strides(t.strides()).options(options).make_tensor();
}

Tensor make(at::IntArrayRef size, at::IntArrayRef stride, at::ScalarType dtype, Device d) {
  c10::DeviceGuard guard(d);
  const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
  return Tensor(at::detail::empty_strided_generic(size, stride, &device_memory, keys, dtype));
}

// A copy on a device of what a kernel of the CPU has made.
Tensor as_device(const Tensor& made, Device d) {
  Tensor there = make(made.sizes(), made.strides(), made.scalar_type(), d);
  if (made.numel()) as_host(there).copy_(made);
  return there;
}

// ---- The fallback: any operation without a kernel of its own below.

// Indices may lie on the CPU.
const Names INDEXING = {"aten::index", "aten::index_put", "aten::index_put_",
                        "aten::_index_put_impl_", "aten::_unsafe_index", "aten::_unsafe_index_put"};
// A number of the CPU may meet tensors of a device, but not here.
const Names NO_NUMBERS = {
    "aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::mv", "aten::addmv", "aten::dot",
    "aten::gather", "aten::index_select", "aten::cat", "aten::scatter", "aten::scatter_add",
    "aten::index_add", "aten::embedding", "aten::native_layer_norm", "aten::native_group_norm",
    "aten::linalg_eigh", "aten::_linalg_eigh", "aten::linalg_solve_triangular"};
// The host waits for the device to learn a shape, or whether a factorisation succeeded.
const Names WAITING = {"aten::nonzero", "aten::masked_select", "aten::_unique2",
                       "aten::unique_dim", "aten::unique_consecutive", "aten::bincount",
                       "aten::_linalg_eigh", "aten::_linalg_svd", "aten::linalg_eigh",
                       "aten::linalg_inv_ex", "aten::repeat_interleave"};

class Call {
 public:
  Call(const c10::OperatorHandle& op, torch::jit::Stack& stack)
      : op_(op), schema_(op.schema()), name_(schema_.name()), stack_(stack),
        n_(schema_.arguments().size()), begin_(stack.size() - n_) {}

  void run() {
    find_device();
    c10::DeviceGuard guard(*device_);
    for (size_t i = 0; i < n_; ++i) argument(i) = to_host(i);
    if (WAITING.count(name_)) ++n_waits;
    op_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack_);
    const size_t n_results = schema_.returns().size(), from = stack_.size() - n_results;
    for (size_t i = 0; i < n_results; ++i) stack_[from + i] = to_device(stack_[from + i]);
  }

 private:
  c10::IValue& argument(size_t i) { return stack_[begin_ + i]; }

  // All tensors on one device; numbers, and indices of indexing, may be of the CPU.
  void find_device() {
    for (size_t i = 0; i < n_; ++i) {
      const auto& v = argument(i);
      if (v.isTensor()) {
        check(v.toTensor(), false);
      } else if (v.isTensorList()) {
        for (const Tensor& t : v.toTensorVector()) check(t, false);
      } else if (v.isOptionalTensorList()) {
        for (const auto& t : v.toOptionalTensorVector())
          if (t) check(*t, INDEXING.count(name_) > 0);
      } else if (v.isDevice() && v.toDevice().is_cuda()) {
        device_ = complete(v.toDevice());
      }
    }
    if (!device_) device_ = complete(DeviceType::CUDA);
  }

  void check(const Tensor& t, bool is_index) {
    if (!t.defined()) return;
    if (is_index && t.scalar_type() == at::kBool) ++n_waits;  // for the number of rows
    if (t.is_cuda()) {
      TORCH_CHECK(!device_ || *device_ == t.device(),
                  "Expected all tensors to be on the same device, but found at least two devices, ",
                  *device_, " and ", t.device(), "! (", name_, ")");
      device_ = t.device();
      return;
    }
    TORCH_CHECK(t.is_cpu(), "unknown device ", t.device(), " in ", name_);
    TORCH_CHECK(is_index || (t.dim() == 0 && !NO_NUMBERS.count(name_)),
                "Expected all tensors to be on the same device, but found at least two devices, "
                "cuda:0 and cpu! (", name_, " of ", t.sizes(), ")");
  }

  c10::IValue to_host(size_t i) {
    const auto& v = argument(i);
    const auto& declared = schema_.arguments()[i];
    if (v.isTensor()) return to_host(v.toTensor(), declared.is_out());
    if (v.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& t : v.toTensorVector()) list.push_back(to_host(t, false));
      return list;
    }
    if (v.isOptionalTensorList()) {
      c10::List<Maybe<Tensor>> list;
      for (const auto& t : v.toOptionalTensorVector())
        list.push_back(t ? Maybe<Tensor>(to_host(*t, false)) : std::nullopt);
      return list;
    }
    if (v.isDevice()) return Device(DeviceType::CPU);
    if (v.isGenerator()) return inner(v.toGenerator());
    if (v.isNone() && declared.type()->str() == "Generator?") {
      ++n_global_draws;
      return inner(global_generator(device_->index()));
    }
    return v;
  }

  // The same tensor twice is the same tensor for the CPU, too. What is written to (`out=`) may be
  // resized by the kernel, which a view of foreign memory cannot be: it gets a tensor of its own.
  Tensor to_host(const Tensor& t, bool is_out) {
    if (!t.defined() || !t.is_cuda()) return t;
    if (!is_out)
      for (size_t i = 0; i < theirs_.size(); ++i)
        if (theirs_[i].is_same(t)) return ours_[i];
    theirs_.push_back(t);
    ours_.push_back(is_out ? at::empty({0}, at::TensorOptions().dtype(t.scalar_type())) : as_host(t));
    if (is_out) outs_.insert(ours_.back().unsafeGetTensorImpl());
    return ours_.back();
  }

  at::Generator inner(const at::Generator& generator) {
    TORCH_CHECK(generator.device().is_cuda(),
                "Expected a 'cuda' device type for generator but found '",
                generator.device().type(), "'");
    TORCH_CHECK(generator.device() == *device_, "Expected a '", *device_,
                "' generator device but found '", generator.device(), "'");
    return static_cast<Generator*>(generator.unsafeGetGeneratorImpl())->inner;
  }

  c10::IValue to_device(const c10::IValue& v) {
    if (v.isTensor()) return to_device(v.toTensor());
    if (!v.isTensorList()) return v;
    c10::List<Tensor> list;
    for (const Tensor& t : v.toTensorVector()) list.push_back(to_device(t));
    return list;
  }

  // An argument that comes back, a view of one, or something new.
  Tensor to_device(const Tensor& made) {
    if (!made.defined()) return made;
    for (size_t i = 0; i < ours_.size(); ++i)
      if (made.is_same(ours_[i])) return returned(theirs_[i], made);
    for (size_t i = 0; i < ours_.size(); ++i) {
      const bool shares = made.numel() && ours_[i].numel() &&
                          made.storage().data() == ours_[i].storage().data();
      if (shares) {
        const auto offset = theirs_[i].storage_offset() + made.storage_offset();
        return at::native::as_strided_tensorimpl(theirs_[i], made.sizes(), made.strides(), offset);
      }
    }
    return as_device(made, *device_);
  }

  Tensor returned(const Tensor& theirs, const Tensor& made) {
    const bool resized = theirs.sizes() != made.sizes();
    if (resized)
      at::native::resize_impl_cpu_(theirs.unsafeGetTensorImpl(), made.sizes(), made.strides());
    if (resized || (outs_.count(made.unsafeGetTensorImpl()) && made.numel()))
      as_host(theirs).copy_(made);
    return theirs;
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  const std::string& name_;
  torch::jit::Stack& stack_;
  const size_t n_, begin_;
  Maybe<Device> device_;
  std::vector<Tensor> theirs_, ours_;  // of the device, and the same of the CPU
  std::unordered_set<void*> outs_;
};

void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  Call(op, *stack).run();
}

// ---- Kernels of our own: what makes tensors, views them, or crosses between devices.

at::ScalarType or_default(Maybe<at::ScalarType> dtype) {
  return dtype.value_or(c10::typeMetaToScalarType(at::get_default_dtype()));
}

Device checked(Maybe<Device> d) {
  const Device there = complete(*d);
  check_ordinal(there.index());
  return there;
}

Tensor empty(c10::SymIntArrayRef size, Maybe<at::ScalarType> dtype, Maybe<at::Layout>,
             Maybe<Device> d, Maybe<bool> pin, Maybe<at::MemoryFormat> format) {
  TORCH_CHECK(!pin.value_or(false), "Only dense CPU tensors can be pinned");
  c10::DeviceGuard guard(checked(d));
  const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
  return Tensor(at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &device_memory, keys,
                                          or_default(dtype), format));
}

Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                     Maybe<at::ScalarType> dtype, Maybe<at::Layout>, Maybe<Device> d, Maybe<bool>) {
  return make(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), or_default(dtype),
              checked(d));
}

Tensor as_strided(const Tensor& t, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                  Maybe<c10::SymInt> offset) {
  Maybe<int64_t> from;
  if (offset) from = offset->expect_int();
  return at::native::as_strided_tensorimpl(t, C10_AS_INTARRAYREF_SLOW(size),
                                           C10_AS_INTARRAYREF_SLOW(stride), from);
}

Tensor view(const Tensor& t, c10::SymIntArrayRef size) {
  return at::native::view(t, C10_AS_INTARRAYREF_SLOW(size));
}

Tensor reshape_alias(const Tensor& t, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return at::native::as_strided_tensorimpl(t, C10_AS_INTARRAYREF_SLOW(size),
                                           C10_AS_INTARRAYREF_SLOW(stride), t.storage_offset());
}

Tensor unfold(const Tensor& t, int64_t dim, int64_t size, int64_t step) {
  return at::native::unfold(t, dim, size, step);
}

const Tensor& resize_(const Tensor& t, c10::SymIntArrayRef size, Maybe<at::MemoryFormat>) {
  at::native::resize_impl_cpu_(t.unsafeGetTensorImpl(), C10_AS_INTARRAYREF_SLOW(size), std::nullopt);
  return t;
}

Tensor& set_with_offset(Tensor& t, at::Storage s, c10::SymInt offset, c10::SymIntArrayRef size,
                        c10::SymIntArrayRef stride) {
  return at::native::set_storage_cpu_(t, s, offset.expect_int(), C10_AS_INTARRAYREF_SLOW(size),
                                      C10_AS_INTARRAYREF_SLOW(stride));
}

Tensor& set_to_storage(Tensor& t, at::Storage s) {
  const auto n = static_cast<int64_t>(s.nbytes() / t.dtype().itemsize());
  return at::native::set_storage_cpu_(t, s, 0, {n}, {});
}

Tensor& set_to_tensor(Tensor& t, const Tensor& s) {
  return at::native::set_storage_cpu_(t, s.storage(), s.storage_offset(), s.sizes(), s.strides());
}

// The host waits for what it reads, and for the reading of its memory unless that is pinned.
bool waits(const Tensor& to, const Tensor& from, bool non_blocking) {
  if (to.is_cuda() && from.is_cuda()) return false;
  const Tensor& host = to.is_cuda() ? from : to;
  return !(non_blocking && is_pinned(host.storage().data()));
}

Tensor& copy_(Tensor& to, const Tensor& from, bool non_blocking) {
  if (to.numel() == 0) return to;
  if (waits(to, from, non_blocking)) ++n_waits;
  Tensor there = to.is_cuda() ? as_host(to) : to;
  there.copy_(from.is_cuda() ? as_host(from) : from);
  return to;
}

at::Scalar local_scalar(const Tensor& t) {
  ++n_waits;
  return as_host(t).item();
}

void record_stream(Tensor&, c10::Stream) {}

// torch's recurrent layers take fused cells on CUDA, of which the CPU has no kernel.

Tensor with_bias(const Tensor& gates, const Maybe<Tensor>& bias) {
  return bias && bias->defined() ? gates + *bias : gates;
}

std::tuple<Tensor, Tensor, Tensor> lstm_cell(const Tensor& of_input, const Tensor& of_state,
                                             const Tensor& cell, const Maybe<Tensor>& b1,
                                             const Maybe<Tensor>& b2) {
  const Tensor gates = with_bias(with_bias(of_input + of_state, b1), b2);
  const auto g = gates.chunk(4, 1);
  const Tensor next = g[1].sigmoid() * cell + g[0].sigmoid() * g[2].tanh();
  return {g[3].sigmoid() * next.tanh(), next, gates.detach()};
}

std::tuple<Tensor, Tensor> gru_cell(const Tensor& of_input, const Tensor& of_state,
                                    const Tensor& state, const Maybe<Tensor>& b1,
                                    const Maybe<Tensor>& b2) {
  const Tensor a = with_bias(of_input, b1);
  const auto x = a.chunk(3, 1), h = with_bias(of_state, b2).chunk(3, 1);
  const Tensor reset = (x[0] + h[0]).sigmoid(), update = (x[1] + h[1]).sigmoid();
  const Tensor fresh = (x[2] + reset * h[2]).tanh();
  return {fresh + update * (state - fresh), a.detach()};
}

c10::impl::DeviceGuardImplRegistrar registrar(DeviceType::CUDA, new Guard());

}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}
TORCH_LIBRARY_IMPL(aten, AutogradCUDA, m) {
  m.impl("_thnn_fused_lstm_cell", lstm_cell);
  m.impl("_thnn_fused_gru_cell", gru_cell);
}
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("_thnn_fused_lstm_cell", lstm_cell);
  m.impl("_thnn_fused_gru_cell", gru_cell);
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", as_strided);
  m.impl("view", view);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("unfold", unfold);
  m.impl("resize_", resize_);
  m.impl("set_.source_Storage_storage_offset", set_with_offset);
  m.impl("set_.source_Storage", set_to_storage);
  m.impl("set_.source_Tensor", set_to_tensor);
  m.impl("copy_", copy_);
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("record_stream", record_stream);
}

// ---- What Python asks, through ctypes.

extern "C" {
void start() { c10::SetAllocator(DeviceType::CUDA, &device_memory, 100); }
int64_t n_devices() { return N_DEVICES; }
int64_t count_waits() { return n_waits; }
int64_t count_global_draws() { return n_global_draws; }
uint64_t bytes_held() { return held; }
uint64_t bytes_at_most() { return peak; }
void restart_peak() { peak = held; }
}
