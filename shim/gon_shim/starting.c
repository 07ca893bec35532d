/* How a driver that is written in Python comes to its interpreter, before cffi looks for its own part
   of it. The build defines GON_EXECUTABLE, the Python that the driver was built by, and GON_PLACES,
   what it imports from.

   A program that is none of Python's gets that Python, whatever `python3` its PATH names; a Python
   program shares its own, whose environment need not have what the driver imports. */
#include <pthread.h>
#include <stdio.h>

static void gon_interpreter(void) {
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.install_signal_handlers = 0; /* they are the program's */
  PyStatus status = PyConfig_SetBytesString(&config, &config.executable, GON_EXECUTABLE);
  if (!PyStatus_Exception(status))
    status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status))
    fprintf(stderr, "GoN: Python does not start: %s\n", status.err_msg ? status.err_msg : "");
  else
    PyEval_SaveThread();
}

/* Of a program with Python the lock is asked for first, so nothing else may be waited for. */
static void gon_find_places(void) {
  static const char *const places[] = {GON_PLACES};
  static int found;
  PyGILState_STATE state = PyGILState_Ensure();
  PyObject *path = PySys_GetObject("path");
  for (size_t i = 0; !found && path && i < sizeof places / sizeof *places; i++) {
    PyObject *place = PyUnicode_DecodeFSDefault(places[i]);
    if (!place || (!PySequence_Contains(path, place) && PyList_Append(path, place)))
      PyErr_Clear();
    Py_XDECREF(place);
  }
  found = 1;
  PyGILState_Release(state);
}

/* Called before every call of Python; of several threads that come first, each finds it done. */
static void gon_start_python(int embeds) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static volatile int done;
  if (done)
    return;
  if (embeds)
    pthread_once(&once, gon_interpreter);
  if (Py_IsInitialized())
    gon_find_places();
  done = 1;
}
