/* SPDX-License-Identifier: MIT */
/*
 * noise_vectors - published handshakes, from the vectors of the Haskell library
 * cacophony (the same that other implementations of Noise test against)
 *
 * One set of keys serves all; a vector is a hash and what each message becomes.
 * The hash they publish is not h at the end, but as it stood earlier: for
 * IKpsk2 after the token "e" of message 2, for X before message 1.
 * Message 1 and, for IKpsk2, 2 are the handshake; the others
 * are transport messages, alternating for IKpsk2, all the initiator's for X.
 */
#ifndef NTM_TESTS_UNIT_LIBNTMCRYPTO_NOISE_VECTORS_H
#define NTM_TESTS_UNIT_LIBNTMCRYPTO_NOISE_VECTORS_H

#include "libntmcrypto/ntmcrypto.h"

#define NOISE_MESSAGES 6

static const char noise_prologue[] = "4a6f686e2047616c74";
static const char noise_psk[] =
	"54686973206973206d7920417573747269616e20706572737065637469766521";
static const char noise_init_static[] =
	"e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
static const char noise_init_ephemeral[] =
	"893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char noise_resp_static[] =
	"4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
static const char noise_resp_static_pub[] =
	"31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62";
static const char noise_init_static_pub[] =
	"6bc3822a2aa7f4e6981d6538692b3cdf3e6df9eea6ed269eb41d93c22757b75a";
static const char noise_resp_ephemeral[] =
	"bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";

static const char *const noise_payloads[NOISE_MESSAGES] = {
	"4c756477696720766f6e204d69736573",
	"4d757272617920526f746862617264",
	"462e20412e20486179656b",
	"4361726c204d656e676572",
	"4a65616e2d426170746973746520536179",
	"457567656e2042f6686d20766f6e2042617765726b",
};

struct noise_vector {
	enum ntmc_noise_pattern pattern;
	enum ntmc_aead_alg aead;
	const char *hash;
	const char *message[NOISE_MESSAGES];
};

static const struct noise_vector noise_vectors[] = {
	{NTMC_NOISE_IKPSK2,
	 NTMC_AES_256_GCM,
	 "17afd463b8668b4c1fff7b6e08058c8f111505dc344cd4a7ecf296aaf542229d",
	 {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
	  "5a1baf339186d7867062b0dd31f5de322d370165d217939b2b7ed9e2bae78404"
	  "58ea65c2ce1554e0e8077fe7334c4bd514c658fd04d97b86d216f58f59714a7e"
	  "24144155045c8f36bed85a2cb0fd9af7",
	  "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
	  "2fe8d675e949799d2a968211a66cc7ba2b0f4cad8eda3c2bd37eae737bbf88",
	  "38cbf3835c78b7802df0dd0d9640ff8575debd0cb61cfb52590da1",
	  "ffc365ff6955fc66c5d809b31ac995f812c5770bd29f0df12f0ffd",
	  "a7f2828174c4ead2491ffeb77c41c890fd1229ee36f23ccb9066a795daff1cad"
	  "6b",
	  "3b86963d5c0e6e3b4153d77153836606393eefc4e5e6dae97796552d1265839e"
	  "e3825cb80c"}},
	{NTMC_NOISE_IKPSK2,
	 NTMC_CHACHA20_POLY1305,
	 "261aa0c06b80901bb33a46d8df7bcbaa3e3118ed38b0180073e9642118e23011",
	 {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
	  "2ec9b09893d0f510791784c10cbc959f25b1766e0def6e301d14fbca1c7790ac"
	  "829b8b3674f5f649a5f0e98479662cbfbf2b2c47cd4b09fcd266cd29d7cb675f"
	  "1808849707847840f6d178ec4d3733aa",
	  "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
	  "9a1b3cebf680b2c74217fcb5eba4ff58a9468cd90c4aca6194f57479b379a7",
	  "a8fde7a0accec190cd306c5950d4fd8e04a205ec288aa747d8b347",
	  "59caddd9984a3bbe24c4fb31a2bd455b7eba3fa0980674b1a3a5f9",
	  "3b9bfebd210c22ba0cff9de79b4007d7a552fffbf92616881faa8a883e25b802"
	  "58",
	  "f37512df1043d564d7c46ac85c53d3b6a9a05724bc297e7142808f2175616512"
	  "17fe85b782"}},
	{NTMC_NOISE_X,
	 NTMC_AES_256_GCM,
	 "ad56495440263212f6717dc213b7f7931b64a28aee4baa48ae7a8f79603370a5",
	 {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
	  "70bc7d4db4b390c2b19e03d60cf1ee8630c74c121706378730dcf60ef41a212c"
	  "23c47ef2f4ab632abfc6258a30ca2149e2c2f8756c40d832fc206e31a5f64087"
	  "b6fba7638c9a9fdd2eee96f9ea816629",
	  "68356b58d8500a2edc2c10a5941b9aaa0cb9b9e47cc125424300a56693775d",
	  "9d783c351fd707625359d5a1de888fa4be80ea48ad0a1fc3a42fe6",
	  "d121d6dce3ce77ad12ea7542dc23f2e0fd24b62ca7035a85a00fc8",
	  "1a97fc0b1fe571b2e489dd6b8c682084a4d14f7c02b380afddf8ad0e031c362c"
	  "20",
	  "7011c403c92a9069047e2f00203877ad80c565c118cea0d4d6813589e9a15701"
	  "d62e2236fe"}},
	{NTMC_NOISE_X,
	 NTMC_CHACHA20_POLY1305,
	 "1d199ddfb7db5a6c148c32df679e4bcd5b95fe4cd90560bb813650b938b8a70a",
	 {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
	  "6c15957a594079a5bdeae05d01e089fbb7cc6ea2ecfd209b941f73c9235213bc"
	  "875f7283e9e17ebdac8112627915b455fdc3aaa6de60cb3c98302f370fdb03ea"
	  "850b9b0cf22fec13e4dc0707245c8721",
	  "9868def631af6242aaf00c35218275832d8d022af1c67b9fc5e8ba90f4d91b",
	  "9fdd2576d757f880de49b32b80abf53afec16ddc86769f0e92daff",
	  "0e5a48d10dfd648145b78012bc9edc8440cbb6e9e237eb8d5b9c25",
	  "11a3818b2523d06a64168b814ff680e60930e7145378cd813055f00e1725b5f9"
	  "e8",
	  "184a48a82f921ee36371d880e2abd177f8967349e992958c66fa51bff262a378"
	  "45a200d26a"}},
};

#endif
